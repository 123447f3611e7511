"""Waking whoever waits for something in the database: in this process at once, in others by LISTEN/NOTIFY.

Only a shortcut. Every waiter also looks by itself from time to time, so that a lost notification costs a moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.database import database_errors
from pyairtable_platform.common.errors import Unavailable

log = logging.getLogger(__name__)

RECONNECT_SECONDS = 1.0


class Wakeups:
    """Events by key: a run's id for its readers, `cancel:` and the id for its worker."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def waiting_for(self, key: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever `key` is woken; the caller clears it."""
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


class Listener:
    """Passes notifications of PostgreSQL on to `wakeups`, over a connection of its own, for ever."""

    def __init__(self, engine: AsyncEngine, channel: str, wakeups: Wakeups) -> None:
        self._engine = engine
        self._channel = channel
        self._wakeups = wakeups

    async def run(self) -> None:
        """Listen; connect again when the connection is lost."""
        while True:
            try:
                with database_errors():
                    await self._listen()
            except (Unavailable, SQLAlchemyError) as error:
                log.warning("notifications are away, polling meanwhile", extra={"error": type(error).__name__})
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        closed = asyncio.Event()
        async with self._engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            driver.add_termination_listener(lambda _: closed.set())
            await driver.add_listener(self._channel, lambda *received: self._wakeups.wake(received[3]))
            self._wakeups.wake_all()
            try:
                await closed.wait()
            finally:
                await connection.invalidate()  # never back into the pool: it listens
