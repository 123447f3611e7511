"""How often a caller may call: at most `limit` calls in any 60 seconds, by a sliding window.

The window lies in Valkey, so that replicas share it. When Valkey is away each replica counts for itself: a caller may
then get up to the limit at each of them, which is better than no limit and better than no service.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pyairtable_platform.common.errors import RateLimited, Unavailable

WINDOW_SECONDS = 60.0


@dataclass(frozen=True)
class Verdict:
    """What the window says about one call."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: float  # until the oldest counted call leaves the window

    def raise_if_refused(self) -> None:
        """Raise RateLimited for a call that may not go on."""
        if not self.allowed:
            raise RateLimited(
                f"more than {self.limit} calls in a minute: wait {self.reset_seconds:.1f} s",
                retry_after=self.reset_seconds,
                limit=str(self.limit),
            )

    def headers(self) -> dict[str, str]:
        """RateLimit-* (draft-ietf-httpapi-ratelimit-headers) for HTTP answers and gRPC metadata."""
        return {
            "ratelimit-limit": str(self.limit),
            "ratelimit-remaining": str(self.remaining),
            "ratelimit-reset": str(max(1, round(self.reset_seconds + 0.5))),
            "ratelimit-policy": f"{self.limit};w={WINDOW_SECONDS:.0f}",
        }


class Window(Protocol):
    """Counts calls of callers."""

    async def take(self, caller: str, limit: int) -> Verdict:
        """Count a call unless the limit is reached. Raises Unavailable when it cannot be asked."""


class LocalWindow:
    """A window in this process, for a bounded number of callers."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, max_callers: int = 10_000) -> None:
        self._clock = clock
        self._max_callers = max_callers
        self._calls: OrderedDict[str, deque[float]] = OrderedDict()

    async def take(self, caller: str, limit: int) -> Verdict:
        now = self._clock()
        calls = self._calls.setdefault(caller, deque())
        self._calls.move_to_end(caller)
        while len(self._calls) > self._max_callers:
            self._calls.popitem(last=False)  # the caller that was quiet for longest
        while calls and calls[0] <= now - WINDOW_SECONDS:
            calls.popleft()
        allowed = len(calls) < limit
        if allowed:
            calls.append(now)
        return Verdict(allowed, limit, limit - len(calls), calls[0] + WINDOW_SECONDS - now)


class RateLimiter:
    """The shared window, and the local one while the shared one is away."""

    RETRY_SECONDS = 1.0  # between attempts to reach the shared window: a dead one must not slow every call

    def __init__(self, limit: int, shared: Window, local: Window, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._shared = shared
        self._local = local
        self._clock = clock
        self._away_until = 0.0

    async def take(self, caller: str) -> Verdict | None:
        """Count a call; None when there is no limit."""
        if self._limit == 0:
            return None
        if self._clock() >= self._away_until:
            try:
                return await self._shared.take(caller, self._limit)
            except Unavailable:
                self._away_until = self._clock() + self.RETRY_SECONDS
        return await self._local.take(caller, self._limit)
