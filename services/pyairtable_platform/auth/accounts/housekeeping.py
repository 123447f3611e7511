"""Deletes what nobody needs any more, once an hour. Any number of replicas may do it."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.database import EVERY_WORKSPACE, transaction
from pyairtable_platform.common.errors import PyAirtableError

from . import audit, letters, limits, logins, store
from .desk import tell

log = logging.getLogger(__name__)

EVERY_SECONDS = 3600.0
UNPROVED_KEPT = timedelta(days=30)
"""So long an account waits for its address to be proved."""


class Housekeeping:
    """Keeps tables as small as they may be. Run `run` in the background."""

    def __init__(self, engine: AsyncEngine, audit_kept: timedelta) -> None:
        self._engine = engine
        self._audit_kept = audit_kept

    async def run(self) -> None:
        """Clean, for ever."""
        while True:
            try:
                await self.clean()
            except PyAirtableError as error:
                log.warning("nothing was cleaned", extra={"reason": str(error.reason)})
            await asyncio.sleep(EVERY_SECONDS)

    async def clean(self) -> None:
        """Delete accounts that nobody proved, and old decisions, logins, letters, tokens, buckets and addresses."""
        # Decisions are about all workspaces and age alike.
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            for user_id in await store.delete_unproved(connection, UNPROVED_KEPT):
                await letters.disown(connection, user_id)
                await audit.disown(connection, user_id)
                await tell(connection, "erased", user_id)
            await audit.clean(connection, self._audit_kept)
            await logins.clean(connection)
            await letters.clean(connection)
            await limits.clean(connection)
            await store.clean(connection)
