"""Runs: accepted, read, followed, asked to stop."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.common.database import transaction
from pyairtable_platform.common.errors import Conflict, FailedPrecondition, NotFound, Reason
from pyairtable_platform.llm_orchestrator.entities import EventKind, Lease, NewRun, Run, RunEvent, RunState, Whose

from .rows import cancel_key, new_events, notify, of_run, of_session, run_of, theirs, together, tools_used
from .tables import forgotten_costs, messages, run_events, runs, sessions

EVENTS_AT_ONCE = 500
_ATTEMPTS = 5


class RunStore:
    """What services ask of runs."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def start(self, new: NewRun, *, owner: str, lease_seconds: float) -> tuple[str, Lease | None]:
        """Accept a run; returns its id and, when it is new, its lease.

        The same idempotency key gives the first run. With an empty owner the run waits for any worker. Raises
        Conflict (SESSION_BUSY) or FailedPrecondition (IDEMPOTENCY_KEY_REUSED).
        """
        for _ in range(_ATTEMPTS):
            lease = await self._insert(new, owner, lease_seconds)
            if lease is not None:
                return lease.run_id, lease
            first = await self._first_with_key(new)
            if first is not None:
                return first, None
            busy = await self._in_progress(new)
            if busy is not None:
                raise _session_busy(new.session_id, busy)
        raise _session_busy(new.session_id, "")

    async def get(self, whose: Whose, run_id: str) -> Run:
        """The run. Raises NotFound."""
        key = run_key(run_id)
        async with transaction(self._engine, whose.tenant) as connection:
            query = sa.select(runs, tools_used()).where(of_run(key, whose))
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise unknown_run(run_id)
        return run_of(row)

    async def principal_of(self, whose: Whose, run_id: str) -> str:
        """Who began a run; empty for a peer. Raises NotFound."""
        row = await self._one(whose, sa.select(runs.c.principal).where(of_run(run_key(run_id), whose)))
        if row is None:
            raise unknown_run(run_id)
        return str(row.principal)

    async def cost_of_month(self, tenant: str) -> Decimal:
        """US dollars that the chats of a workspace cost in this calendar month (UTC), as far as prices are known."""
        month = sa.func.date_trunc("month", sa.func.timezone("UTC", sa.func.clock_timestamp()))
        begun = runs.c.created_at >= sa.func.timezone("UTC", month)
        known = sa.select(sa.func.sum(runs.c.cost_usd)).where(runs.c.workspace == tenant, begun).scalar_subquery()
        of_month = (forgotten_costs.c.workspace == tenant, forgotten_costs.c.month == sa.cast(month, sa.Date))
        forgotten = sa.select(sa.func.sum(forgotten_costs.c.usd)).where(*of_month).scalar_subquery()
        async with transaction(self._engine, tenant) as connection:
            total = sa.func.coalesce(known, 0) + sa.func.coalesce(forgotten, 0)
            return Decimal((await connection.execute(sa.select(total))).scalar_one())

    async def events_after(self, whose: Whose, run_id: str, after: int) -> tuple[bool, list[RunEvent]]:
        """Events after an id, in order, at most some hundred; and whether the run has ended. Raises NotFound.

        One statement, so that an end and the last event are seen together or not at all.
        """
        key = run_key(run_id)
        later = sa.and_(run_events.c.run_id == runs.c.id, run_events.c.id > after)
        query = (
            sa.select(runs.c.state, run_events)
            .select_from(runs.outerjoin(run_events, later))
            .where(of_run(key, whose))
            .order_by(run_events.c.id)
            .limit(EVENTS_AT_ONCE)
        )
        async with transaction(self._engine, whose.tenant) as connection:
            rows = (await connection.execute(query)).all()
        if not rows:
            raise unknown_run(run_id)
        events = [_event(row) for row in rows if row.id is not None]
        return rows[0].state != RunState.RUNNING, events

    async def request_cancel(self, whose: Whose, run_id: str) -> None:
        """Ask the worker of a run to stop it; does nothing to one that has ended. Raises NotFound."""
        key = run_key(run_id)
        asked = sa.func.coalesce(runs.c.cancel_requested_at, sa.func.clock_timestamp())
        update = sa.update(runs).where(of_run(key, whose)).values(cancel_requested_at=asked)
        async with transaction(self._engine, whose.tenant) as connection:
            if (await connection.execute(update)).rowcount == 0:
                raise unknown_run(run_id)
            await notify(connection, cancel_key(key))

    async def _insert(self, new: NewRun, owner: str, lease_seconds: float) -> Lease | None:
        """Insert session, run, message and first event; None (and nothing written) when the run cannot be new."""
        async with transaction(self._engine, new.whose.tenant) as connection:
            await _touch_session(connection, new)
            row = await _insert_run(connection, new, owner, lease_seconds)
            if row is None:
                await connection.rollback()
                return None
            await _add_seeds(connection, new)
            started = {"session_id": new.session_id, "model": new.model}
            first_event = new_events(row.id, 1, [(EventKind.STARTED, started)])
            message = _message(new, "user", new.message, row.id)
            await together(connection, [message, first_event], wake=row.id)
        return Lease(row.id, row.lease_token, new.whose.tenant, new.request_id, new.role, owner)

    async def _first_with_key(self, new: NewRun) -> str | None:
        if not new.idempotency_key:
            return None
        same_key = sa.and_(theirs(runs, new.whose), runs.c.idempotency_key == new.idempotency_key)
        row = await self._one(new.whose, sa.select(runs.c.id, runs.c.digest).where(same_key))
        if row is not None and row.digest != new.digest:
            raise FailedPrecondition(
                "this idempotency_key was used with another request: take a new key for a new message",
                reason=Reason.IDEMPOTENCY_KEY_REUSED,
            )
        return row.id if row is not None else None

    async def _in_progress(self, new: NewRun) -> str | None:
        session = of_session(runs, new.whose, new.session_id)
        row = await self._one(new.whose, sa.select(runs.c.id).where(session, runs.c.state == RunState.RUNNING))
        return row.id if row is not None else None

    async def _one(self, whose: Whose, query: sa.Select[Any]) -> Any:
        async with transaction(self._engine, whose.tenant) as connection:
            return (await connection.execute(query)).one_or_none()


def run_key(run_id: str) -> str:
    """The id as the database has it. Raises NotFound for what cannot be one."""
    try:
        return str(uuid.UUID(run_id))
    except ValueError as error:
        raise unknown_run(run_id) from error


def unknown_run(run_id: str) -> NotFound:
    """What callers are told of a run that is not there, or not theirs."""
    return NotFound(f'there is no run "{run_id}"', reason=Reason.RUN_NOT_FOUND, run=run_id)


def _session_busy(session_id: str, run_id: str) -> Conflict:
    return Conflict(
        f'session "{session_id}" has a run in progress ({run_id}): wait for its end, or cancel it',
        reason=Reason.SESSION_BUSY,
        session=session_id,
        run=run_id,
    )


async def _touch_session(connection: AsyncConnection, new: NewRun) -> None:
    """Make the session or mark it as used. The row lock lets two first messages of a session come one by one."""
    now = sa.func.clock_timestamp()
    made = insert(sessions).values(
        workspace=new.whose.tenant,
        owner=new.whose.owner,
        id=new.session_id,
        principal=new.principal,
        title=title_of(new),
        created_at=now,
        updated_at=now,
    )
    key = ["workspace", "owner", "id"]
    await connection.execute(made.on_conflict_do_update(index_elements=key, set_={"updated_at": now}))


async def _insert_run(connection: AsyncConnection, new: NewRun, owner: str, lease_seconds: float) -> Any:
    now = sa.func.clock_timestamp()
    made = insert(runs).values(
        id=str(uuid.uuid4()),
        workspace=new.whose.tenant,
        owner=new.whose.owner,
        session_id=new.session_id,
        principal=new.principal,
        role=new.role,
        declaration=new.declaration,
        state=RunState.RUNNING,
        message=new.message,
        base_id=new.base_id,
        model=new.model,
        thinking_budget=new.thinking_budget,
        idempotency_key=new.idempotency_key or None,
        digest=new.digest,
        request_id=new.request_id,
        created_at=now,
        deadline_at=now + sa.func.make_interval(0, 0, 0, 0, 0, 0, new.seconds),
        last_event=1,
        lease_owner=owner,
        lease_token=1,
        lease_until=now + sa.func.make_interval(0, 0, 0, 0, 0, 0, lease_seconds if owner else 0.0),
    )
    return (await connection.execute(made.on_conflict_do_nothing().returning(runs))).one_or_none()


async def _add_seeds(connection: AsyncConnection, new: NewRun) -> None:
    """The conversation that the caller brought along, if the session has none yet."""
    if not new.seeds:
        return
    in_session = of_session(messages, new.whose, new.session_id)
    if (await connection.execute(sa.select(sa.exists().where(in_session)))).scalar_one():
        return
    for role, text in new.seeds:  # one by one: positions follow the order
        await connection.execute(_message(new, role, text, None))


def _message(new: NewRun, role: str, text: str, run_id: str | None) -> sa.Insert:
    return sa.insert(messages).values(
        workspace=new.whose.tenant,
        owner=new.whose.owner,
        session_id=new.session_id,
        role=role,
        content=text,
        run_id=run_id,
        tools_used=[],
        created_at=sa.func.clock_timestamp(),
    )


def title_of(new: NewRun) -> str:
    """First words of the first message."""
    first = next((text for role, text in new.seeds if role == "user"), new.message)
    words = " ".join(first.split())
    return words if len(words) <= 60 else words[:59].rsplit(" ", 1)[0] + "…"


def _event(row: Any) -> RunEvent:
    return RunEvent(row.id, row.run_id, row.time, EventKind(row.kind), row.payload)
