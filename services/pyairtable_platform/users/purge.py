"""Erases people whose deletion cannot be taken back any more: the saga person_erasure, begun for each of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pyairtable_platform.common.errors import PyAirtableError

from .records import RESTORABLE, Deleted
from .service import Erasures

log = logging.getLogger(__name__)

EVERY_SECONDS = 3600.0
MARGIN = timedelta(hours=1)
"""Between the last moment of a restoration and the erasure: clocks of replicas differ."""


class Purge:
    """A background duty of every replica, of which one at a time does it."""

    def __init__(
        self, store: Deleted, erasures: Erasures, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._erasures = erasures
        self._now = now

    async def run(self) -> None:
        """Look once an hour, for ever."""
        while True:
            try:
                await self.purge()
            except PyAirtableError as error:
                log.warning("nobody is erased for now", extra={"cause": error.message})
            await asyncio.sleep(EVERY_SECONDS)

    async def purge(self) -> list[str]:
        """Begin the erasure of everybody who was deleted too long ago; the ids of the sagas.

        One a day for each: what an erasure was refused for (the last owner of a workspace) may be gone tomorrow.
        """
        now = self._now()
        day = now.date().isoformat()
        async with self._store.deleted_before(now - RESTORABLE - MARGIN) as people:
            begun = [await self._begin(user_id, f"users:{user_id}:purge:{day}") for user_id in people]
        return [saga_id for saga_id in begun if saga_id]

    async def _begin(self, user_id: str, key: str) -> str:
        """The saga of one person; empty when it cannot be begun, which must not keep the others from being erased."""
        try:
            return await self._erasures.start(user_id, "", key)
        except PyAirtableError as error:
            log.warning("a person is not erased for now", extra={"user_id": user_id, "cause": error.message})
            return ""
