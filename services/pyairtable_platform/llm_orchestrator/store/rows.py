"""Rows as values, and the questions that several stores ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.common.workspace import name_of
from pyairtable_platform.llm_orchestrator.entities import EventKind, Run, RunFailure, RunState, Whose
from pyairtable_platform.llm_orchestrator.ports import Cost, Usage

from .tables import run_events, runs, tool_calls

NOTIFY_CHANNEL = "llm_orchestrator_runs"


def storable(text: str) -> str:
    """The text without what a text column cannot hold: U+0000 and halves of surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def cost_of(row: Any) -> Cost:
    """Tokens and cost of a runs row."""
    usage = Usage(row.input_tokens, row.output_tokens, row.thinking_tokens, row.cached_tokens, row.total_tokens)
    return Cost(usage, row.model_calls, row.cost_usd)


def cost_columns(cost: Cost) -> dict[str, Any]:
    """The columns of a runs row that hold a cost."""
    usage = cost.usage
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "thinking_tokens": usage.thinking_tokens,
        "cached_tokens": usage.cached_tokens,
        "total_tokens": usage.total_tokens,
        "model_calls": cost.model_calls,
        "cost_usd": cost.usd,
    }


def run_of(row: Any) -> Run:
    """A runs row, with its tools, as callers see it."""
    return Run(
        id=row.id,
        session_id=row.session_id,
        workspace=name_of(row.workspace),
        state=RunState(row.state),
        model=row.model,
        message=row.message,
        response=row.response,
        thoughts=row.thoughts,
        tools_used=row.tools_used,
        cost=cost_of(row),
        failure=RunFailure(**row.failure) if row.failure else None,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def tools_used() -> sa.ColumnElement[list[str]]:
    """A column for statements on `runs`: names of the tools that were called, in order of first use."""
    called = (
        sa.select(tool_calls.c.tool, sa.func.min(tool_calls.c.position).label("first"))
        .where(tool_calls.c.run_id == runs.c.id, tool_calls.c.started_at.is_not(None))
        .group_by(tool_calls.c.tool)
        .correlate(runs)
        .subquery()
    )
    names = sa.func.array_agg(aggregate_order_by(called.c.tool, called.c.first))
    return sa.select(sa.func.coalesce(names, sa.cast([], ARRAY(sa.Text)))).scalar_subquery().label("tools_used")


def new_events(run_id: str, last_id: int, events: Sequence[tuple[EventKind, dict[str, Any]]]) -> sa.Insert:
    """Events that end with the id `last_id`. The caller holds the run's row."""
    first = last_id - len(events) + 1
    now = sa.func.clock_timestamp()
    return sa.insert(run_events).values(
        [
            {"run_id": run_id, "id": first + index, "time": now, "kind": kind, "payload": payload}
            for index, (kind, payload) in enumerate(events)
        ]
    )


async def together(connection: AsyncConnection, changes: Sequence[sa.Insert | sa.Update], *, wake: str) -> None:
    """Make changes that do not build on each other in one round trip, and wake who waits for `wake` at the commit."""
    call = sa.select(sa.func.pg_notify(NOTIFY_CHANNEL, wake))
    await connection.execute(call.add_cte(*(change.cte(f"change_{i}") for i, change in enumerate(changes))))


def cancel_key(run_id: str) -> str:
    """What the worker of a run waits for besides its work."""
    return f"cancel:{run_id}"


async def notify(connection: AsyncConnection, key: str) -> None:
    """Wake who waits for `key`, in every process, at the commit."""
    await connection.execute(sa.select(sa.func.pg_notify(NOTIFY_CHANNEL, key)))


def of_run(run_id: str, whose: Whose) -> sa.ColumnElement[bool]:
    """The run of that id, if it is theirs."""
    return sa.and_(runs.c.id == run_id, theirs(runs, whose))


def theirs(table: sa.Table, whose: Whose) -> sa.ColumnElement[bool]:
    """Rows of sessions, messages or runs that are theirs."""
    return sa.and_(table.c.workspace == whose.tenant, table.c.owner == whose.owner)


def of_session(table: sa.Table, whose: Whose, session_id: str) -> sa.ColumnElement[bool]:
    """Messages or runs of one of their sessions."""
    return sa.and_(theirs(table, whose), table.c.session_id == session_id)
