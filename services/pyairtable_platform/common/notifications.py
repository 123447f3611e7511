"""Hearing PostgreSQL's notifications (LISTEN), over a connection of its own.

Only a shortcut: whoever waits for a change also looks by itself from time to time, so that a lost one costs a moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from .database import database_errors
from .errors import Unavailable

log = logging.getLogger(__name__)

RECONNECT_SECONDS = 1.0


class Listener:
    """Calls `heard` with the payload of each notification, and `missed` whenever some may have been missed."""

    def __init__(
        self, engine: AsyncEngine, channel: str, *, heard: Callable[[str], None], missed: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._channel = channel
        self._heard = heard
        self._missed = missed

    async def run(self) -> None:
        """Listen, for ever; connect again when the connection is lost."""
        while True:
            try:
                with database_errors():
                    await self._listen()
            except Unavailable as error:
                log.warning("notifications are away, polling meanwhile", extra={"cause": error.message})
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        closed = asyncio.Event()
        async with self._engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            driver.add_termination_listener(lambda _: closed.set())
            await driver.add_listener(self._channel, lambda *received: self._heard(received[3]))
            self._missed()
            try:
                await closed.wait()
            finally:
                await connection.invalidate()  # never back into the pool: it listens
