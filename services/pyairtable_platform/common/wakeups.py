"""Waking whoever waits for something in the database: in this process at once, in others by LISTEN/NOTIFY.

Only a shortcut. Every waiter also looks by itself from time to time, so that a lost notification costs a moment.
"""

from __future__ import annotations

import asyncio
import logging
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
AWAY_SECONDS = 0.5
"""How soon a follower looks again at a database that was away."""

Found = TypeVar("Found")

log = logging.getLogger(__name__)


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


class Follower:
    """Keeps a copy of what is in the database: `look` reads it, at once when hinted and every few seconds anyway."""

    def __init__(self, look: Callable[[], Awaitable[None]], *, look_seconds: float, when_away: str) -> None:
        self._look = look
        self._look_seconds = look_seconds
        self._when_away = when_away
        self._hinted = asyncio.Event()

    def hint(self, _: str = "") -> None:
        """Something has changed, or may have been missed. May be called at any time."""
        self._hinted.set()

    async def run(self) -> None:
        """Follow for ever. While the database is away the last copy stays in force, and the log says so once."""
        is_away = False
        while True:
            self._hinted.clear()
            try:
                await self._look()
                is_away = False
            except Unavailable as error:
                if not is_away:
                    log.warning(self._when_away, extra={"cause": error.message})
                is_away = True
            await until_woken(self._hinted, AWAY_SECONDS if is_away else self._look_seconds)


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
