"""Waiting for conditions, never for times."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NeverCameError(AssertionError):
    """A condition did not come true within a generous limit."""


def eventually(check: Callable[[], T], what: str, *, seconds: float = 60, pause: float = 0.02) -> T:
    """The first true answer of `check`; what it raises as AssertionError is shown when it never comes."""
    limit = time.monotonic() + seconds
    said = ""
    while time.monotonic() < limit:
        try:
            if answer := check():
                return answer
        except AssertionError as error:
            said = f": {error}"
        time.sleep(pause)
    raise NeverCameError(f"not within {seconds:.0f} s: {what}{said}")


async def soon(check: Callable[[], T], *, seconds: float = 20) -> T:
    """As `eventually`, for a condition that the running loop itself makes true."""
    async with asyncio.timeout(seconds):
        while not (answer := check()):  # noqa: ASYNC110 - other people's state, no event of ours
            await asyncio.sleep(0.01)
    return answer
