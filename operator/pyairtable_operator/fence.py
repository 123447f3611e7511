"""The fence: nothing is written once the Lease may be somebody else's."""

from __future__ import annotations

import time


class NotLeaderError(Exception):
    """This replica does not hold the Lease any more, so it must not write."""


class Fence:
    """Until when this replica may write, by the monotonic clock.

    A process that was stopped and goes on later sees its deadline passed before its first write: the clock ran on.
    """

    def __init__(self) -> None:
        """Closed until `extend` is called."""
        self._deadline = float("-inf")

    def extend(self, deadline: float) -> None:
        """Writes are allowed until `deadline` (time.monotonic)."""
        self._deadline = deadline

    def close(self) -> None:
        """No write from now on."""
        self._deadline = float("-inf")

    def remaining(self) -> float:
        """Seconds in which writes are allowed; negative when it is over."""
        return self._deadline - time.monotonic()

    def check(self) -> None:
        """Raises NotLeaderError when writing is over."""
        if self.remaining() <= 0:
            raise NotLeaderError("the Lease has run out or is held by another replica")
