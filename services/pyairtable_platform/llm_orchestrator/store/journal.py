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

from pyairtable_platform.common.database import transaction
from pyairtable_platform.common.errors import Cancelled, OutcomeUnknown, PyAirtableError, Unavailable
from pyairtable_platform.llm_orchestrator.catalog import dollars
from pyairtable_platform.llm_orchestrator.entities import EventKind, Lease, RunState, Whose
from pyairtable_platform.llm_orchestrator.ports import (
    Cost,
    LeaseLost,
    LogUnavailable,
    PlannedCall,
    Step,
    ToolOutcome,
)

from .rows import cost_columns, cost_of, new_events, storable, theirs, together, tools_used
from .tables import messages, run_steps, runs, sessions, tool_calls

WRITE_SECONDS = 10.0


def _never_known(error: PyAirtableError) -> ToolOutcome:
    return ToolOutcome({"error": {"reason": str(error.reason), "message": error.message}}, error=error.message)


_UNKNOWN = _never_known(OutcomeUnknown("the turn ended before this call did; if it writes, it may have done so"))
_NOT_MADE = _never_known(Cancelled("the turn ended before this call was made"))

Events = Sequence[tuple[EventKind, dict[str, Any]]]


class RunJournal:
    """ports.Journal over PostgreSQL, and the end of the run."""

    def __init__(self, engine: AsyncEngine, lease: Lease) -> None:
        self._engine = engine
        self._lease = lease

    async def add_text(self, text: str) -> None:
        """Append a piece of the answer."""
        text = storable(text)
        async with self._writing(1, response=runs.c.response + text) as (connection, row):
            await _add(connection, row, [(EventKind.TEXT, {"text": text})])

    async def rewind(self, text: str) -> None:
        """Take back pieces of the answer."""
        text = storable(text)
        async with self._writing(1, response=text) as (connection, row):
            await _add(connection, row, [(EventKind.REWOUND, {"response": text})])

    async def add_step(self, step: Step, *, thoughts: str, cost: Cost) -> None:
        """Keep an answer of the model and plan its calls."""
        columns = {
            "settled_response": runs.c.response,
            "thoughts": joined(runs.c.thoughts, storable(thoughts)),
            "steps": runs.c.steps + 1,
            **cost_columns(cost),
        }
        async with self._writing(1, **columns) as (connection, row):
            content = {"run_id": row.id, "number": row.steps, "content": step.content}
            changes = [sa.insert(run_steps).values(content)]
            if step.calls:
                changes.append(sa.insert(tool_calls).values([_planned(row, call) for call in step.calls]))
            await _add(connection, row, [(EventKind.COST, cost_payload(row.model, cost))], *changes)

    async def tools_started(self, calls: Sequence[PlannedCall]) -> None:
        """Say that calls begin."""
        async with self._writing(len(calls)) as (connection, row):
            these = sa.and_(tool_calls.c.run_id == row.id, tool_calls.c.call_id.in_([call.id for call in calls]))
            begun = sa.update(tool_calls).where(these).values(started_at=sa.func.clock_timestamp())
            await _add(connection, row, [(EventKind.TOOL_STARTED, _started(call)) for call in calls], begun)

    async def tool_ended(self, call: PlannedCall, outcome: ToolOutcome) -> None:
        """Keep what became of a call."""
        async with self._writing(1) as (connection, row):
            event = (EventKind.TOOL_ENDED, _ended(call.id, call.tool, outcome))
            await _add(connection, row, [event], _outcome(row.id, call.id, outcome))

    async def complete(self, cost: Cost) -> None:
        """End the run with the answer that stands in the log."""
        async with self._writing(1, **_ended_as(RunState.COMPLETED), **cost_columns(cost)) as (connection, row):
            done = {
                "response": row.response,
                "tools_used": row.tools_used,
                "cost_info": cost_payload(row.model, cost),
                "thinking_process": row.thoughts,
            }
            await _add(connection, row, [(EventKind.DONE, done)], *_answer(row))

    async def fail(self, error: PyAirtableError, cost: Cost | None = None) -> None:
        """End the run without an answer. Without `cost` the cost so far stands."""
        failure = {"reason": str(error.reason), "message": error.message, "metadata": dict(error.metadata)}
        columns = cost_columns(cost) if cost else {}
        async with self._writing(0, **_ended_as(RunState.FAILED), failure=failure, **columns) as (connection, row):
            told = {"reason": failure["reason"], "message": failure["message"]}
            cost_event = (EventKind.COST, cost_payload(row.model, cost_of(row)))
            await self._end_early(connection, row, [cost_event, (EventKind.FAILED, told)])

    async def cancel(self) -> None:
        """End the run because somebody stopped it."""
        async with self._writing(0, **_ended_as(RunState.CANCELLED)) as (connection, row):
            answer = _answer(row) if row.response else []
            await self._end_early(connection, row, [(EventKind.CANCELLED, {"response": row.response})], *answer)

    async def _end_early(
        self, connection: AsyncConnection, row: Any, events: Events, *changes: sa.Insert | sa.Update
    ) -> None:
        """Write the end; calls that are still open get an outcome, so that the conversation stays well-formed."""
        unfinished = sa.and_(tool_calls.c.run_id == row.id, tool_calls.c.ended_at.is_(None))
        still_open = await connection.execute(sa.select(tool_calls).where(unfinished).order_by(tool_calls.c.position))
        closing: list[tuple[EventKind, dict[str, Any]]] = []
        outcomes: list[sa.Update] = []
        for call in still_open:
            outcome = _UNKNOWN if call.started_at is not None else _NOT_MADE
            outcomes.append(_outcome(row.id, call.call_id, outcome))
            if outcome is _UNKNOWN:
                closing.append((EventKind.TOOL_ENDED, _ended(call.call_id, call.tool, outcome)))
        every = [*closing, *events]
        counted = sa.update(runs).where(runs.c.id == row.id).values(last_event=runs.c.last_event + len(every))
        row = (await connection.execute(counted.returning(runs))).one()
        await _add(connection, row, every, *outcomes, *changes)

    @asynccontextmanager
    async def _writing(self, events: int, **columns: Any) -> AsyncIterator[tuple[AsyncConnection, Any]]:
        """A transaction behind the fence, with room for `events`: gives the connection and the run's row."""
        mine = sa.and_(
            runs.c.id == self._lease.run_id,
            runs.c.lease_token == self._lease.token,
            runs.c.state == RunState.RUNNING,
        )
        update = sa.update(runs).where(mine).values(last_event=runs.c.last_event + events, **columns)
        try:
            async with asyncio.timeout(WRITE_SECONDS), transaction(self._engine, self._lease.tenant) as connection:
                row = (await connection.execute(update.returning(runs, tools_used()))).one_or_none()
                if row is None:
                    raise LeaseLost(self._lease.run_id)
                yield connection, row
        except (Unavailable, TimeoutError) as error:
            raise LogUnavailable(str(error)) from error


async def _add(connection: AsyncConnection, row: Any, events: Events, *changes: sa.Insert | sa.Update) -> None:
    """The events for which the run's row has made room, and what goes with them."""
    await together(connection, [new_events(row.id, row.last_event, events), *changes], wake=row.id)


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


def _ended_as(state: RunState) -> dict[str, Any]:
    return {"state": state, "ended_at": sa.func.clock_timestamp()}


def _answer(row: Any) -> list[sa.Insert | sa.Update]:
    """The answer as a message of the session."""
    now = sa.func.clock_timestamp()
    message = sa.insert(messages).values(
        workspace=row.workspace,
        owner=row.owner,
        session_id=row.session_id,
        role="assistant",
        content=row.response,
        run_id=row.id,
        tools_used=row.tools_used,
        created_at=now,
    )
    session = sa.and_(theirs(sessions, Whose(row.workspace, row.owner)), sessions.c.id == row.session_id)
    return [message, sa.update(sessions).where(session).values(updated_at=now)]


def _outcome(run_id: str, call_id: str, outcome: ToolOutcome) -> sa.Update:
    this = sa.and_(tool_calls.c.run_id == run_id, tool_calls.c.call_id == call_id)
    return (
        sa.update(tool_calls)
        .where(this)
        .values(
            ended_at=sa.func.clock_timestamp(),
            error=storable(outcome.error),
            summary=storable(outcome.summary),
            duration_ms=outcome.duration_ms,
            response=dict(outcome.response),
        )
    )


def _planned(row: Any, call: PlannedCall) -> dict[str, Any]:
    return {
        "run_id": row.id,
        "call_id": call.id,
        "step": row.steps,
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
