"""Waking whoever waits for something in the database: in this process at once, in others by LISTEN/NOTIFY.

Only a shortcut. Every waiter also looks by itself from time to time, so that a lost notification costs a moment.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from .errors import Unavailable

LOOK_SECONDS = 1.0
"""How long a change may go unnoticed when its notification was lost."""
PATIENCE_SECONDS = 15.0
RETRY_SECONDS = 0.25

Found = TypeVar("Found")


class Wakeups:
    """Events by key: a run's or a saga's id for those who follow it, `cancel:` and the id for a run's worker."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def waiting_for(self, key: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever `key` is woken. The caller clears it, before looking: then none is missed."""
        event = asyncio.Event()
        self._waiting[key].add(event)
        try:
            yield event
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    def wake(self, key: str) -> None:
        """Wake those who wait for `key`."""
        for event in self._waiting.get(key, ()):
            event.set()

    def wake_all(self) -> None:
        """Wake everybody: something may have been missed."""
        for events in self._waiting.values():
            for event in events:
                event.set()


async def until_woken(woken: asyncio.Event, seconds: float = LOOK_SECONDS) -> None:
    """Wait for the event, or for as long as one may go without looking."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken.wait()


async def patiently(look: Callable[[], Awaitable[Found]]) -> Found:
    """Look into the database; one that is away for a moment is no reason to end a stream that may go on.

    Raises Unavailable when it stays away for PATIENCE_SECONDS.
    """
    patience_ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await look()
        except Unavailable:
            if time.monotonic() > patience_ends:
                raise
        await asyncio.sleep(RETRY_SECONDS)
