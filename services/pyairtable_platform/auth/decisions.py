"""The audit of `Authorize`: every decision counts, and equal ones of some seconds make one line, so that a busy door
does not flood the table. A process that is killed loses what it decided in these seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.database import EVERY_WORKSPACE, transaction
from pyairtable_platform.common.errors import Unavailable
from pyairtable_platform.common.wakeups import until_woken

from .accounts.audit import Decision, record

log = logging.getLogger(__name__)

ACTION = "authorize"
FLUSH_SECONDS = 5.0
MOST = 1000
"""Different decisions that wait; more are written at once."""
LOST_BEYOND = 10_000
"""While PostgreSQL is away so many wait; what comes on top is counted as lost in the log."""


@dataclass(frozen=True)
class Authorization:
    """A decision about a credential. `session` is empty when it was not even told whose it is."""

    kind: str
    reason: str = ""
    session: str = ""
    user_id: str = ""
    workspace: str = ""
    address: str = ""


class Decisions:
    """Collects authorizations and writes them. `run` in the background, `flush` at the end."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._counts: Counter[Authorization] = Counter()
        self._full = asyncio.Event()

    def note(self, authorization: Authorization) -> None:
        """Count a decision."""
        if authorization not in self._counts and len(self._counts) >= LOST_BEYOND:
            log.error("a decision about a credential is not in the audit", extra={"kind": authorization.kind})
            return
        self._counts[authorization] += 1
        if len(self._counts) >= MOST:
            self._full.set()

    async def run(self) -> None:
        """Write what was decided every few seconds, for ever."""
        while True:
            await until_woken(self._full, FLUSH_SECONDS)
            await self.flush()
            if self._full.is_set():  # PostgreSQL is away: no faster than this
                await asyncio.sleep(FLUSH_SECONDS)

    async def flush(self) -> None:
        """Write what waits; when PostgreSQL is away it goes on waiting."""
        counts, self._counts = self._counts, Counter()
        try:
            # The lines of some seconds are about many workspaces.
            async with transaction(self._engine, EVERY_WORKSPACE) as connection:
                for authorization, times in counts.items():
                    await record(connection, decision_of(authorization, times))
        except (Unavailable, SQLAlchemyError) as error:
            self._counts.update(counts)
            log.warning("decisions about credentials wait for the audit", extra={"cause": type(error).__name__})
            return
        if len(self._counts) < MOST:
            self._full.clear()


def decision_of(authorization: Authorization, times: int) -> Decision:
    """The line for equal decisions."""
    details = {"credential": authorization.kind, "session": authorization.session, "times": times}
    return Decision(
        ACTION,
        reason=authorization.reason,
        user_id=authorization.user_id,
        address=authorization.address,
        workspace=authorization.workspace,
        details={name: value for name, value in details.items() if value},
    )
