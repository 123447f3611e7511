"""The conversation before a turn, and the steps of turns, as the model gave them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.llm_orchestrator.entities import RunState, Whose
from pyairtable_platform.llm_orchestrator.ports import Content, FunctionCall, PlannedCall, Step, ToolOutcome
from pyairtable_platform.llm_orchestrator.prompt import assistant_content, trimmed, user_content
from pyairtable_platform.llm_orchestrator.tool_round import tool_content

from .rows import of_session
from .tables import messages, run_steps, runs, tool_calls

Calls = dict[tuple[str, int], list[Any]]

_TURNS = 50  # no more are read, whatever their size


@dataclass(frozen=True)
class Before:
    """What a turn begins with: the conversation before it, and its own steps as far as they go."""

    history: list[Content]
    steps: list[Step]
    started_calls: frozenset[str]


async def load(connection: AsyncConnection, run: Any, max_tokens: int) -> Before:
    """Read a turn's conversation, trimmed to whole turns, and its own steps."""
    session = of_session(runs, Whose(run.workspace, run.owner), run.session_id)
    query = sa.select(runs).where(session, runs.c.position < run.position)
    rows = (await connection.execute(query.order_by(runs.c.position.desc()).limit(_TURNS))).all()
    calls = await _calls(connection, [run.id, *(row.id for row in rows)])
    steps = await _steps(connection, [run.id, *(row.id for row in rows)], calls)
    turns = [turn_contents(row, steps[row.id]) for row in reversed(rows)]
    if len(rows) < _TURNS:
        turns = [*await _seeds(connection, run), *turns]
    started = (
        call.call_id
        for (run_id, _), of_step in calls.items()
        if run_id == run.id
        for call in of_step
        if call.started_at
    )
    return Before(trimmed(turns, max_tokens), steps[run.id], frozenset(started))


async def _steps(connection: AsyncConnection, run_ids: Sequence[str], calls: Calls) -> dict[str, list[Step]]:
    """The answers of the model in these runs, in order, with what became of their calls."""
    query = sa.select(run_steps).where(run_steps.c.run_id.in_(run_ids)).order_by(run_steps.c.number)
    steps: dict[str, list[Step]] = defaultdict(list)
    for row in await connection.execute(query):
        of_step = calls[row.run_id, row.number]
        outcomes = {call.call_id: _outcome(call) for call in of_step if call.ended_at is not None}
        planned = [PlannedCall(call.call_id, _call(call)) for call in of_step]
        steps[row.run_id].append(Step(row.content, planned, outcomes))
    return steps


def turn_contents(run: Any, steps: Sequence[Step]) -> list[Content]:
    """One earlier turn. A turn without an answer says so, so that the next one does not go on with it unasked."""
    contents = [user_content(run.message)]
    for step in steps:
        contents.append(step.content)
        if step.calls:
            contents.append(tool_content(step.calls, step.outcomes))
    if run.state != RunState.COMPLETED:
        why = "it was stopped by the user" if run.state == RunState.CANCELLED else run.failure["reason"]
        contents.append(assistant_content(f"[This turn ended without an answer: {why}.]"))
    return contents


async def _seeds(connection: AsyncConnection, run: Any) -> list[list[Content]]:
    """What the caller brought along, in turns that begin with the user."""
    session = of_session(messages, Whose(run.workspace, run.owner), run.session_id)
    query = sa.select(messages).where(session, messages.c.run_id.is_(None)).order_by(messages.c.position)
    turns: list[list[Content]] = []
    for row in await connection.execute(query):
        if row.role == "user" or not turns:
            turns.append([])
        make = user_content if row.role == "user" else assistant_content
        turns[-1].append(make(row.content))
    return turns


async def _calls(connection: AsyncConnection, run_ids: Sequence[str]) -> Calls:
    """Rows of tool calls by run and step."""
    query = sa.select(tool_calls).where(tool_calls.c.run_id.in_(run_ids)).order_by(tool_calls.c.position)
    found: Calls = defaultdict(list)
    for row in await connection.execute(query):
        found[row.run_id, row.step].append(row)
    return found


def _call(row: Any) -> FunctionCall:
    return FunctionCall(row.tool, row.arguments, row.model_id)


def _outcome(row: Any) -> ToolOutcome:
    return ToolOutcome(row.response, row.error, row.summary, row.duration_ms)
