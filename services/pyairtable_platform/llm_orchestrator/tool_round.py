"""The tool calls of one answer of the model: in parallel where that is safe, bounded, each with an outcome."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import orjson

from pyairtable_platform.common.errors import (
    InvalidInput,
    NotFound,
    PyAirtableError,
    QuotaExhausted,
    Reason,
)

from . import results
from .ports import Content, FunctionCall, Journal, PlannedCall, Tool, ToolCall, ToolOutcome, ToolServer, Turn
from .tool_attempts import call_tool


@dataclass(frozen=True)
class ToolLimits:
    """Bounds of tool calls: how many in one round and at a time, how often the same, how long, how much told."""

    calls_per_round: int
    parallel: int
    same_calls: int
    seconds: float
    result_characters: int
    write_patience: float = 15.0
    """Seconds after which a call that may write is not tried again when its server stays away."""


class RepetitionGuard:
    """Notices a model that goes in circles: the same tool with the same arguments, and nothing changed in between."""

    def __init__(self, tools: Mapping[str, Tool], limit: int) -> None:
        self._tools = tools
        self._limit = limit
        self._seen: Counter[bytes] = Counter()

    def refuses(self, call: FunctionCall) -> bool:
        """Count a call; True when it has been made often enough. Raises QuotaExhausted when the model won't stop."""
        tool = self._tools.get(call.name)
        key = orjson.dumps([call.name, call.arguments], option=orjson.OPT_SORT_KEYS)
        if tool is not None and not tool.read_only and key not in self._seen:
            self._seen.clear()  # a new change: looking again makes sense
        self._seen[key] += 1
        if self._seen[key] > 2 * self._limit:
            raise QuotaExhausted(
                f"the model keeps calling {call.name} with the same arguments: ask in other words",
                reason=Reason.TURN_LIMIT,
                limit="repetition",
            )
        return self._seen[key] > self._limit


class ToolRunner:
    """Runs the calls of a turn and keeps what became of them in the log."""

    def __init__(
        self, server: ToolServer, tools: Sequence[Tool], turn: Turn, journal: Journal, limits: ToolLimits
    ) -> None:
        self._server = server
        self._tools = {tool.name: tool for tool in tools}
        self._turn = turn
        self._journal = journal
        self._limits = limits
        self._guard = RepetitionGuard(self._tools, limits.same_calls)
        self._slots = asyncio.Semaphore(limits.parallel)

    async def run(self, calls: Sequence[PlannedCall], known: Mapping[str, ToolOutcome]) -> Content:
        """Make the calls whose outcome is not known yet, and return what the model is told of all of them.

        Calls that only read run side by side; one that may change something runs alone and in its place, because
        the model may rely on the order.
        """
        outcomes = dict(known)
        refusals = {call.id: refusal for call in calls if (refusal := self._refusal(call, calls))}
        pending = [call for call in calls if call.id not in known]
        for alone, group in groupby(pending, key=self._goes_alone):
            members = list(group)
            for batch in [[call] for call in members] if alone else [members]:
                outcomes.update(await self._run_batch(batch, refusals))
        return tool_content(calls, outcomes)

    def _goes_alone(self, call: PlannedCall) -> bool:
        tool = self._tools.get(call.tool)
        return tool is not None and not tool.read_only

    async def _run_batch(
        self, batch: Sequence[PlannedCall], refusals: Mapping[str, PyAirtableError]
    ) -> dict[str, ToolOutcome]:
        fresh = [call for call in batch if call.id not in self._turn.started_calls]
        if fresh:
            await self._journal.tools_started(fresh)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {call.id: group.create_task(self._run_one(call, refusals.get(call.id))) for call in batch}
        except ExceptionGroup as failures:  # the log failed, for all of them alike
            raise failures.exceptions[0] from failures
        return {call_id: task.result() for call_id, task in tasks.items()}

    async def _run_one(self, call: PlannedCall, refusal: PyAirtableError | None) -> ToolOutcome:
        async with self._slots:
            started = time.monotonic()
            try:
                if refusal is not None:
                    raise refusal
                response = await self._call_server(call)
                outcome = results.succeeded(
                    response, max_characters=self._limits.result_characters, duration_ms=_elapsed(started)
                )
            except PyAirtableError as error:
                outcome = results.failed(error, duration_ms=_elapsed(started))
            await self._journal.tool_ended(call, outcome)
            return outcome

    async def _call_server(self, call: PlannedCall) -> dict[str, object]:
        request = ToolCall(
            workspace=self._turn.workspace,
            name=call.tool,
            arguments=self._arguments(call.call),
            idempotency_key=f"{self._turn.run_id}:{call.id}",
            timeout=self._limits.seconds,
            asker=self._turn.asker,
        )
        may_write = not self._tools[call.tool].read_only
        return await call_tool(self._server, request, may_write=may_write, patience=self._limits.write_patience)

    def _arguments(self, call: FunctionCall) -> Mapping[str, object]:
        """The model's arguments, with the base of the request where the model named none."""
        tool = self._tools[call.name]
        if self._turn.base_id and tool.takes("base_id") and not call.arguments.get("base_id"):
            return {**call.arguments, "base_id": self._turn.base_id}
        return call.arguments

    def _refusal(self, planned: PlannedCall, calls: Sequence[PlannedCall]) -> PyAirtableError | None:
        """Why we do not even make this call, or None. Counts it either way."""
        repeated = self._guard.refuses(planned.call)
        if planned.tool not in self._tools:
            known = ", ".join(sorted(self._tools))
            return NotFound(f"there is no tool {planned.tool}; there are {known}", reason=Reason.TOOL_NOT_FOUND)
        if planned in calls[self._limits.calls_per_round :]:
            return InvalidInput(
                f"only the first {self._limits.calls_per_round} calls of one step are made: "
                "repeat this one in the next step"
            )
        if repeated:
            return InvalidInput(
                f"{planned.tool} was called {self._limits.same_calls} times with these arguments and nothing has "
                "changed since: use the result you have"
            )
        return None


def plan(round_number: int, calls: Iterable[FunctionCall]) -> list[PlannedCall]:
    """Give calls ids that are the same whoever works on the run."""
    return [PlannedCall(f"{round_number}.{index}", call) for index, call in enumerate(calls, 1)]


def tool_content(calls: Sequence[PlannedCall], outcomes: Mapping[str, ToolOutcome]) -> Content:
    """What the model is told: one response for each of its calls, in their order, with their ids."""
    parts = []
    for planned in calls:
        response = {"name": planned.tool, "response": dict(outcomes[planned.id].response)}
        if planned.call.id:
            response["id"] = planned.call.id
        parts.append({"functionResponse": response})
    return {"role": "user", "parts": parts}


def _elapsed(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
