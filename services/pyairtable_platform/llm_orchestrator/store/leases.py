"""Who works on a run: claimed, kept, released, taken over. All times are the database's, no clock of ours counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.common.database import EVERY_WORKSPACE, transaction
from pyairtable_platform.common.errors import Unavailable
from pyairtable_platform.common.workspace import name_of
from pyairtable_platform.llm_orchestrator.entities import Lease, RunState
from pyairtable_platform.llm_orchestrator.ports import Asker, LeaseLost, LogUnavailable, Turn

from . import history
from .rows import cost_of
from .tables import runs


@dataclass(frozen=True)
class Claimed:
    """A turn that this worker may work on: where it stands, what time is left, whether somebody wants it stopped."""

    turn: Turn
    seconds_left: float
    cancel_requested: bool


class LeaseStore:
    """Leases of one worker. `owner` is for people who look at the table; the token alone decides."""

    def __init__(self, engine: AsyncEngine, *, owner: str, seconds: float) -> None:
        self._engine = engine
        self.owner = owner
        self.seconds = seconds

    async def claim(self, limit: int) -> list[Lease]:
        """Take over runs that nobody works on, the oldest first. Raises Unavailable."""
        abandoned = (
            sa.select(runs.c.id)
            .where(runs.c.state == RunState.RUNNING, runs.c.lease_until < sa.func.clock_timestamp())
            .order_by(runs.c.created_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        update = (
            sa.update(runs)
            .where(runs.c.id.in_(abandoned))
            .values(lease_owner=self.owner, lease_token=runs.c.lease_token + 1, lease_until=self._until())
            .returning(runs.c.id, runs.c.lease_token, runs.c.workspace, runs.c.request_id, runs.c.role)
        )
        # Workers serve all workspaces.
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            rows = (await connection.execute(update)).all()
        return [Lease(row.id, row.lease_token, row.workspace, row.request_id, row.role, self.owner) for row in rows]

    async def renew(self, lease: Lease) -> bool:
        """Keep a lease; returns whether somebody wants the run stopped. Raises LeaseLost or LogUnavailable."""
        async with self._connected(lease) as connection:
            update = sa.update(runs).where(_mine(lease)).values(lease_until=self._until())
            row = (await connection.execute(update.returning(runs.c.cancel_requested_at))).one_or_none()
        if row is None:
            raise LeaseLost(lease.run_id)
        return row.cancel_requested_at is not None

    async def release(self, lease: Lease) -> None:
        """Give a run back, so that another worker takes it at once. Raises LogUnavailable."""
        async with self._connected(lease) as connection:
            given_back = {"lease_owner": "", "lease_until": sa.func.clock_timestamp()}
            await connection.execute(sa.update(runs).where(_mine(lease)).values(**given_back))

    async def load(self, lease: Lease, *, history_tokens: int) -> Claimed:
        """Read a turn as the log has it. Raises LeaseLost or LogUnavailable."""
        left = sa.extract("epoch", runs.c.deadline_at - sa.func.clock_timestamp()).label("seconds_left")
        async with self._connected(lease) as connection:
            row = (await connection.execute(sa.select(runs, left).where(_mine(lease)))).one_or_none()
            if row is None:
                raise LeaseLost(lease.run_id)
            turn = await _turn(connection, row, history_tokens)
        return Claimed(turn, float(row.seconds_left), row.cancel_requested_at is not None)

    def _until(self) -> Any:
        return sa.func.clock_timestamp() + sa.func.make_interval(0, 0, 0, 0, 0, 0, self.seconds)

    @asynccontextmanager
    async def _connected(self, lease: Lease) -> AsyncIterator[AsyncConnection]:
        try:
            async with transaction(self._engine, lease.tenant) as connection:
                yield connection
        except Unavailable as error:
            raise LogUnavailable(str(error)) from error


async def _turn(connection: AsyncConnection, row: Any, history_tokens: int) -> Turn:
    before = await history.load(connection, row, history_tokens)
    return Turn(
        workspace=name_of(row.workspace),
        base_id=row.base_id,
        run_id=row.id,
        model=row.model,
        thinking_budget=row.thinking_budget,
        message=row.message,
        history=before.history,
        steps=before.steps,
        started_calls=before.started_calls,
        text=row.response,
        settled_text=row.settled_response,
        cost=cost_of(row),
        asker=Asker(row.principal, row.role, row.declaration),
    )


def _mine(lease: Lease) -> sa.ColumnElement[bool]:
    return sa.and_(runs.c.id == lease.run_id, runs.c.lease_token == lease.token, runs.c.state == RunState.RUNNING)
