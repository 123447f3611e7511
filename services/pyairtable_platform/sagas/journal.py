"""The journal of sagas in PostgreSQL: written by whoever carries one out, under a claim that is checked every time.

Each transaction locks the saga's row under the condition that this claim is the last one, and that this life of this
process is not declared dead. That is the fence: a process that was paused and taken over finds no row.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.common import events
from pyairtable_platform.common.database import EVERY_WORKSPACE, transaction
from pyairtable_platform.common.events import Event

from .model import Json, Saga, SagaState, StepState
from .ports import Claim, Fenced, Outcome
from .rows import NOTIFY_CHANNEL, read_saga

LIVES = (
    "EXISTS (SELECT 1 FROM executors WHERE name = split_part(:executor, '/', 1) "
    "AND life = split_part(:executor, '/', 2)::bigint)"
)
_CLAIM = sa.text(
    f"UPDATE sagas SET executor = :executor, claim = claim + 1 WHERE saga_id = :saga_id AND {LIVES} RETURNING claim"  # noqa: S608
)
_LOCK = sa.text(
    f"SELECT state FROM sagas WHERE saga_id = :saga_id AND claim = :claim AND executor = :executor AND {LIVES} "  # noqa: S608
    "FOR UPDATE"
)
_BEGIN = sa.text(
    "UPDATE sagas SET state = CASE WHEN is_going_back THEN 'COMPENSATING' ELSE 'RUNNING' END, "
    "updated_at = clock_timestamp() WHERE saga_id = :saga_id AND state IN ('PENDING', 'RUNNING', 'COMPENSATING')"
)
_BEGIN_ATTEMPT = sa.text(
    "UPDATE steps SET state = :state, attempts = attempts + 1, ended_at = NULL, "
    "started_at = coalesce(started_at, clock_timestamp()) WHERE saga_id = :saga_id AND name = :step"
)
_AT_STEP = sa.text("UPDATE sagas SET current_step = :step, updated_at = clock_timestamp() WHERE saga_id = :saga_id")
_NOTE = sa.text("UPDATE steps SET memo = CAST(:memo AS jsonb) WHERE saga_id = :saga_id AND name = :step")
_END_ATTEMPT = sa.text(
    "UPDATE steps SET state = :state, error = CASE WHEN :error = '' THEN error ELSE :error END, "
    "error_reason = CASE WHEN :error = '' THEN error_reason ELSE :error_reason END, "
    "output = coalesce(CAST(:output AS jsonb), output), memo = coalesce(CAST(:memo AS jsonb), memo), "
    "ended_at = CASE WHEN :ends THEN clock_timestamp() ELSE NULL END WHERE saga_id = :saga_id AND name = :step"
)
_TOUCH = sa.text("UPDATE sagas SET updated_at = clock_timestamp() WHERE saga_id = :saga_id")
_TURN_BACK = sa.text(
    "UPDATE sagas SET state = 'COMPENSATING', is_going_back = true, error = :error, error_reason = :error_reason, "
    "updated_at = clock_timestamp() WHERE saga_id = :saga_id AND NOT is_going_back RETURNING saga_id"
)
_END = sa.text(
    "UPDATE sagas SET state = :state, output = CAST(:output AS jsonb), updated_at = clock_timestamp(), "
    "ended_at = clock_timestamp(), current_step = CASE WHEN :state = 'FAILED' THEN current_step ELSE '' END, "
    "error = CASE WHEN :error = '' THEN error ELSE :error END, "
    "error_reason = CASE WHEN :error = '' THEN error_reason ELSE :error_reason END "
    "WHERE saga_id = :saga_id AND ended_at IS NULL RETURNING saga_id"
)
_MAKE_NOBODYS = sa.text("UPDATE sagas SET principal = '', business_key = '', input = '{}' WHERE saga_id = :saga_id")
_FORGET_KEYS = sa.text("DELETE FROM start_keys WHERE saga_id = :saga_id")
_FORGET_MEMOS = sa.text("UPDATE steps SET memo = NULL WHERE saga_id = :saga_id")
_NOTIFY = sa.text(f"SELECT pg_notify('{NOTIFY_CHANNEL}', :saga_id)")

_ENDS = frozenset(StepState) - {StepState.PENDING, StepState.RUNNING, StepState.COMPENSATING}
_FORWARD_ENDS = (StepState.COMPLETED, StepState.SKIPPED, StepState.FAILED)
_BACK_ENDS = (StepState.COMPENSATED, StepState.COMPENSATION_FAILED)
_EVENT_OF = {
    SagaState.COMPLETED: "saga.completed.v1",
    SagaState.COMPENSATED: "saga.compensated.v1",
    SagaState.FAILED: "saga.failed.v1",
}


class PostgresJournal:
    """ports.Journal. `executor` is this process in this life of it; `lost` is told when it turns out to be over."""

    def __init__(self, engine: AsyncEngine, executor: str, lost: Callable[[], None]) -> None:
        self._engine = engine
        self._executor = executor
        self._lost = lost

    async def claim(self, saga_id: str) -> Claim:
        # Sagas are carried out whatever workspace they are about.
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            row = (await connection.execute(_CLAIM, {"saga_id": saga_id, "executor": self._executor})).first()
        if row is None:
            self._lost()
            raise Fenced(f"{self._executor} is declared dead")
        return Claim(saga_id, self._executor, row.claim)

    async def load(self, saga_id: str) -> Saga:
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            return await _read(connection, saga_id)

    async def begin(self, claim: Claim) -> Saga:
        async with self._held(claim) as connection:
            await connection.execute(_BEGIN, {"saga_id": claim.saga_id})
            return await _read(connection, claim.saga_id)

    async def begin_attempt(self, claim: Claim, step: str, state: StepState) -> Saga:
        async with self._held(claim) as connection:
            saga = await _read(connection, claim.saga_id)
            ends = _BACK_ENDS if state is StepState.COMPENSATING else _FORWARD_ENDS
            is_cancelled = saga.cancel_asked and state is StepState.RUNNING
            if saga.step(step).state in ends or is_cancelled:
                return saga
            await connection.execute(_BEGIN_ATTEMPT, {"saga_id": claim.saga_id, "step": step, "state": state})
            await connection.execute(_AT_STEP, {"saga_id": claim.saga_id, "step": step})
            return await _read(connection, claim.saga_id)

    async def note(self, claim: Claim, step: str, memo: Json) -> None:
        async with self._held(claim, is_visible=False) as connection:
            await connection.execute(_NOTE, {"saga_id": claim.saga_id, "step": step, "memo": as_json(memo)})

    async def end_attempt(
        self,
        claim: Claim,
        step: str,
        state: StepState,
        *,
        output: Json | None = None,
        memo: Json | None = None,
        error: str = "",
        error_reason: str = "",
    ) -> None:
        values = {"saga_id": claim.saga_id, "step": step, "state": state, "ends": state in _ENDS}
        texts = {"output": as_json(output), "memo": as_json(memo), "error": error, "error_reason": error_reason}
        async with self._held(claim) as connection:
            await connection.execute(_END_ATTEMPT, values | texts)
            await connection.execute(_TOUCH, {"saga_id": claim.saga_id})

    async def turn_back(self, claim: Claim, error: str, error_reason: str) -> Saga:
        values = {"saga_id": claim.saga_id, "error": error, "error_reason": error_reason}
        async with self._held(claim) as connection:
            turned = (await connection.execute(_TURN_BACK, values)).first()
            saga = await _read(connection, claim.saga_id)
            if turned is not None:
                await events.record(connection, event_of("saga.compensating.v1", saga))
            return saga

    async def end(self, claim: Claim, outcome: Outcome) -> None:
        values = {"saga_id": claim.saga_id, "state": outcome.state, "output": as_json(outcome.output)}
        texts = {"error": outcome.error, "error_reason": outcome.error_reason}
        async with self._held(claim) as connection:
            if (await connection.execute(_END, values | texts)).first() is None:
                return
            if outcome.state != SagaState.FAILED:
                await connection.execute(_FORGET_MEMOS, {"saga_id": claim.saga_id})
            if outcome.is_nobodys:
                await connection.execute(_MAKE_NOBODYS, {"saga_id": claim.saga_id})
                await connection.execute(_FORGET_KEYS, {"saga_id": claim.saga_id})
            saga = await _read(connection, claim.saga_id)
            await events.record(connection, event_of(_EVENT_OF[saga.state], saga))

    @asynccontextmanager
    async def _held(self, claim: Claim, *, is_visible: bool = True) -> AsyncIterator[AsyncConnection]:
        """A transaction that holds the saga's row for this claim; raises Fenced when the claim is not the last."""
        values = {"saga_id": claim.saga_id, "claim": claim.number, "executor": claim.executor}
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            if (await connection.execute(_LOCK, values)).first() is None:
                raise Fenced(f"another process carries out saga {claim.saga_id}")
            yield connection
            if is_visible:
                await connection.execute(_NOTIFY, {"saga_id": claim.saga_id})


async def _read(connection: AsyncConnection, saga_id: str) -> Saga:
    saga = await read_saga(connection, saga_id)
    if saga is None:
        # Nothing deletes a saga that has not ended; a database that was made anew did.
        raise asyncio.CancelledError(f"there is no saga {saga_id}")
    return saga


def event_of(event_type: str, saga: Saga) -> Event:
    """What others are told of a saga: no inputs and no outputs."""
    data = {"type": saga.type, "business_key": saga.business_key, "state": saga.state, "reason": saga.error_reason}
    return Event(event_type, saga.saga_id, workspace=saga.workspace, principal=saga.principal, data=data)


def as_json(value: Any) -> str | None:
    """For jsonb columns. Texts with the character U+0000, which PostgreSQL does not take, lose it."""
    return None if value is None else orjson.dumps(value).decode().replace("\\u0000", "")
