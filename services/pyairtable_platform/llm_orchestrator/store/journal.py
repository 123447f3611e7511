"""The log of a run, as its one writer writes it.

Every transaction first updates the run's row under the condition that this writer still holds the highest lease token.
That is the fence (a writer that was taken over finds no row), and the row lock it takes makes event ids gapless.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.common.errors import Cancelled, OutcomeUnknown, PyAirtableError, Unavailable
from pyairtable_platform.llm_orchestrator.catalog import dollars
from pyairtable_platform.llm_orchestrator.entities import EventKind, Lease, RunState
from pyairtable_platform.llm_orchestrator.ports import (
    Cost,
    LeaseLost,
    LogUnavailable,
    PlannedCall,
    Step,
    ToolOutcome,
)

from .away import away_is_unavailable
from .rows import append_events, cost_columns, cost_of, storable, tools_used
from .tables import messages, run_steps, runs, sessions, tool_calls

WRITE_SECONDS = 10.0
_UNKNOWN = OutcomeUnknown("the turn ended before this call did; if it writes, it may have done so")
_NOT_MADE = Cancelled("the turn ended before this call was made")

Events = Sequence[tuple[EventKind, dict[str, Any]]]


class RunJournal:
    """ports.Journal over PostgreSQL, and the end of the run."""

    def __init__(self, engine: AsyncEngine, lease: Lease) -> None:
        self._engine = engine
        self._lease = lease

    async def add_text(self, text: str) -> None:
        """Append a piece of the answer."""
        text = storable(text)
        async with self._writing([(EventKind.TEXT, {"text": text})], response=runs.c.response + text):
            pass

    async def rewind(self, text: str) -> None:
        """Take back pieces of the answer."""
        text = storable(text)
        async with self._writing([(EventKind.REWOUND, {"response": text})], response=text):
            pass

    async def add_step(self, step: Step, *, thoughts: str, cost: Cost) -> None:
        """Keep an answer of the model and plan its calls."""
        count = sa.select(sa.func.count()).where(run_steps.c.run_id == self._lease.run_id).scalar_subquery()
        columns = {
            "settled_response": runs.c.response,
            "thoughts": joined(runs.c.thoughts, storable(thoughts)),
            **cost_columns(cost),
        }
        async with self._writing([], **columns) as (connection, row):
            number = (await connection.execute(sa.select(count + 1))).scalar_one()
            await connection.execute(sa.insert(run_steps).values(run_id=row.id, number=number, content=step.content))
            if step.calls:
                planned = [_planned(row.id, number, call) for call in step.calls]
                await connection.execute(sa.insert(tool_calls).values(planned))
            await self._append(connection, [(EventKind.COST, cost_payload(row.model, cost))])

    async def tools_started(self, calls: Sequence[PlannedCall]) -> None:
        """Say that calls begin."""
        events = [(EventKind.TOOL_STARTED, _started(call)) for call in calls]
        async with self._writing(events) as (connection, row):
            await connection.execute(
                sa.update(tool_calls)
                .where(tool_calls.c.run_id == row.id, tool_calls.c.call_id.in_([call.id for call in calls]))
                .values(started_at=sa.func.clock_timestamp())
            )

    async def tool_ended(self, call: PlannedCall, outcome: ToolOutcome) -> None:
        """Keep what became of a call."""
        event = (EventKind.TOOL_ENDED, _ended(call.id, call.tool, outcome))
        async with self._writing([event]) as (connection, row):
            await connection.execute(
                sa.update(tool_calls)
                .where(tool_calls.c.run_id == row.id, tool_calls.c.call_id == call.id)
                .values(
                    ended_at=sa.func.clock_timestamp(),
                    error=storable(outcome.error),
                    summary=storable(outcome.summary),
                    duration_ms=outcome.duration_ms,
                    response=dict(outcome.response),
                )
            )

    async def complete(self, cost: Cost) -> None:
        """End the run with the answer that stands in the log."""
        async with self._ending(RunState.COMPLETED, **cost_columns(cost)) as (connection, row):
            used = await tools_used(connection, row.id)
            done = {
                "response": row.response,
                "tools_used": used,
                "cost_info": cost_payload(row.model, cost),
                "thinking_process": row.thoughts,
            }
            await self._append(connection, [(EventKind.DONE, done)])
            await _add_answer(connection, row, used)

    async def fail(self, error: PyAirtableError, cost: Cost | None = None) -> None:
        """End the run without an answer. Without `cost` the cost so far stands."""
        failure = {"reason": str(error.reason), "message": error.message, "metadata": dict(error.metadata)}
        columns = cost_columns(cost) if cost else {}
        async with self._ending(RunState.FAILED, failure=failure, **columns) as (connection, row):
            told = {"reason": failure["reason"], "message": failure["message"]}
            cost_event = (EventKind.COST, cost_payload(row.model, cost_of(row)))
            await self._append(connection, [cost_event, (EventKind.FAILED, told)])

    async def cancel(self) -> None:
        """End the run because somebody stopped it."""
        async with self._ending(RunState.CANCELLED) as (connection, row):
            await self._append(connection, [(EventKind.CANCELLED, {"response": row.response})])
            if row.response:
                await _add_answer(connection, row, await tools_used(connection, row.id))

    @asynccontextmanager
    async def _ending(self, state: RunState, **columns: Any) -> AsyncIterator[tuple[AsyncConnection, Any]]:
        """Write the end; calls that are still open get an outcome, so that the conversation stays well-formed."""
        async with self._writing([], state=state, ended_at=sa.func.clock_timestamp(), **columns) as (connection, row):
            unfinished = sa.and_(tool_calls.c.run_id == row.id, tool_calls.c.ended_at.is_(None))
            query = sa.select(tool_calls).where(unfinished).order_by(tool_calls.c.position)
            for call in (await connection.execute(query)).all():
                await self._close_call(connection, call)
            yield connection, row

    async def _close_call(self, connection: AsyncConnection, call: Any) -> None:
        begun = call.started_at is not None
        error = _UNKNOWN if begun else _NOT_MADE
        this = sa.and_(tool_calls.c.run_id == call.run_id, tool_calls.c.call_id == call.call_id)
        told = {"error": {"reason": error.reason, "message": error.message}}
        values = {"ended_at": sa.func.clock_timestamp(), "error": error.message, "response": told}
        await connection.execute(sa.update(tool_calls).where(this).values(**values))
        if begun:
            outcome = ToolOutcome(told, error=error.message)
            await self._append(connection, [(EventKind.TOOL_ENDED, _ended(call.call_id, call.tool, outcome))])

    @asynccontextmanager
    async def _writing(self, events: Events, **columns: Any) -> AsyncIterator[tuple[AsyncConnection, Any]]:
        """A transaction behind the fence: gives the connection and the run's row."""
        mine = sa.and_(
            runs.c.id == self._lease.run_id,
            runs.c.lease_token == self._lease.token,
            runs.c.state == RunState.RUNNING,
        )
        update = sa.update(runs).where(mine).values(last_event=runs.c.last_event + len(events), **columns)
        try:
            with away_is_unavailable():
                async with asyncio.timeout(WRITE_SECONDS), self._engine.begin() as connection:
                    row = (await connection.execute(update.returning(runs))).one_or_none()
                    if row is None:
                        raise LeaseLost(self._lease.run_id)
                    await append_events(connection, row.id, row.last_event, events)
                    yield connection, row
        except (Unavailable, TimeoutError) as error:
            raise LogUnavailable(str(error)) from error

    async def _append(self, connection: AsyncConnection, events: Events) -> None:
        """More events in a transaction that holds the run already."""
        if not events:
            return
        update = sa.update(runs).where(runs.c.id == self._lease.run_id)
        raised = update.values(last_event=runs.c.last_event + len(events)).returning(runs.c.last_event)
        last = (await connection.execute(raised)).scalar_one()
        await append_events(connection, self._lease.run_id, last, events)


def cost_payload(model: str, cost: Cost) -> dict[str, Any]:
    """A cost with the fields of pyairtable.chat.v1.CostInfo."""
    usage = cost.usage
    return {
        "model": model,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "thinking_tokens": usage.thinking_tokens,
        "cached_tokens": usage.cached_tokens,
        "total_tokens": usage.total_tokens,
        "model_calls": cost.model_calls,
        "total_cost_usd": dollars(cost.usd),
    }


def joined(column: sa.Column[str], text: str) -> Any:
    """The column with a paragraph more."""
    if not text:
        return column
    return sa.case((column == "", text), else_=column + "\n\n" + text)


async def _add_answer(connection: AsyncConnection, row: Any, used: Sequence[str]) -> None:
    now = sa.func.clock_timestamp()
    await connection.execute(
        sa.insert(messages).values(
            workspace=row.workspace,
            session_id=row.session_id,
            role="assistant",
            content=row.response,
            run_id=row.id,
            tools_used=list(used),
            created_at=now,
        )
    )
    session = sa.and_(sessions.c.workspace == row.workspace, sessions.c.id == row.session_id)
    await connection.execute(sa.update(sessions).where(session).values(updated_at=now))


def _planned(run_id: str, step: int, call: PlannedCall) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "call_id": call.id,
        "step": step,
        "tool": storable(call.tool),
        "arguments": dict(call.call.arguments),
        "model_id": storable(call.call.id),
    }


def _started(call: PlannedCall) -> dict[str, Any]:
    return {"call_id": call.id, "tool": call.tool, "arguments": dict(call.call.arguments)}


def _ended(call_id: str, tool: str, outcome: ToolOutcome) -> dict[str, Any]:
    return {
        "call_id": call_id,
        "tool": tool,
        "is_error": outcome.is_error,
        "error": outcome.error,
        "summary": outcome.summary,
        "duration_ms": outcome.duration_ms,
    }
