"""A model, a tool server and a log in memory, for tests of the tool loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from pyairtable_platform.common.errors import PyAirtableError
from pyairtable_platform.llm_orchestrator.catalog import load_catalog
from pyairtable_platform.llm_orchestrator.loop import Ended, Limits, ToolLoop
from pyairtable_platform.llm_orchestrator.model_calls import ModelCalls
from pyairtable_platform.llm_orchestrator.ports import (
    Chunk,
    Content,
    Cost,
    FunctionCall,
    ModelRequest,
    PlannedCall,
    Reply,
    Step,
    Tool,
    ToolCall,
    ToolOutcome,
    Turn,
    Usage,
)
from pyairtable_platform.llm_orchestrator.tool_round import ToolLimits

USAGE = Usage(input_tokens=1000, output_tokens=100, thinking_tokens=10, cached_tokens=0, total_tokens=1110)
SCHEMA = {"type": "object", "properties": {"base_id": {"type": "string"}, "q": {"type": "string"}}}


def says(text: str = "", *calls: FunctionCall, finish: str = "STOP", usage: Usage = USAGE) -> Reply:
    """An answer of the model; its parts carry a signature that must come back."""
    parts: list[dict[str, Any]] = [{"text": text}] if text else []
    for call in calls:
        wire = {"name": call.name, "args": dict(call.arguments), "id": call.id}
        parts.append({"functionCall": wire, "thoughtSignature": f"signed-{call.name}"})
    return Reply({"role": "model", "parts": parts}, text, "", calls, finish, usage)


def calls(name: str = "look", **arguments: Any) -> FunctionCall:
    return FunctionCall(name, arguments, id=f"id-{name}")


@dataclass(frozen=True)
class BreaksOff:
    """An answer that ends in the middle."""

    text: str
    error: PyAirtableError
    usage: Usage | None = None


@dataclass
class ScriptedModel:
    """Gives its answers one after another, the last one for ever."""

    script: list[Reply | BreaksOff | PyAirtableError]
    requests: list[ModelRequest] = field(default_factory=list)

    async def stream(self, request: ModelRequest) -> AsyncIterator[Chunk | Reply]:
        answer = self.script[min(len(self.requests), len(self.script) - 1)]
        self.requests.append(request)
        if isinstance(answer, PyAirtableError):
            raise answer
        for word in answer.text.split(" "):
            await asyncio.sleep(0)
            yield Chunk(word if word == answer.text.split(" ")[0] else " " + word, answer.usage)
        if isinstance(answer, BreaksOff):
            raise answer.error
        yield answer


Handler = Callable[[ToolCall], Awaitable[dict[str, Any]]]


@dataclass
class FakeToolServer:
    """`look` reads, `change` writes."""

    handler: Handler | None = None
    calls: list[ToolCall] = field(default_factory=list)
    running: int = 0
    most_at_once: int = 0

    async def list_tools(self) -> Sequence[Tool]:
        return [Tool("look", "", SCHEMA, True), Tool("change", "", SCHEMA, False)]

    async def call(self, call: ToolCall) -> dict[str, Any]:
        self.calls.append(call)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await asyncio.sleep(0)
            return await self.handler(call) if self.handler else {"records": [{"id": "rec1"}]}
        finally:
            self.running -= 1


@dataclass
class MemoryJournal:
    """ports.Journal as a list of what happened; can be made to fail at its nth write."""

    entries: list[tuple[str, Any]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    outcomes: dict[str, ToolOutcome] = field(default_factory=dict)
    text: str = ""
    settled: str = ""
    cost: Cost = field(default_factory=Cost)
    fail_at: int | None = None
    failure: Exception = field(default_factory=RuntimeError)

    def _write(self, kind: str, value: Any) -> None:
        if self.fail_at is not None and len(self.entries) >= self.fail_at:
            raise self.failure
        self.entries.append((kind, value))

    async def add_text(self, text: str) -> None:
        self._write("text", text)
        self.text += text

    async def rewind(self, text: str) -> None:
        self._write("rewound", text)
        self.text = text

    async def add_step(self, step: Step, *, thoughts: str, cost: Cost) -> None:
        self._write("step", step)
        self.steps.append(step)
        self.settled, self.cost = self.text, cost

    async def tools_started(self, calls: Sequence[PlannedCall]) -> None:
        self._write("started", [call.id for call in calls])

    async def tool_ended(self, call: PlannedCall, outcome: ToolOutcome) -> None:
        self._write("ended", call.id)
        self.outcomes[call.id] = outcome

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.entries]

    def resumed(self, turn: Turn) -> Turn:
        """The turn as another worker reads it from this log."""
        steps = []
        for step in self.steps:
            known = {call.id: self.outcomes[call.id] for call in step.calls if call.id in self.outcomes}
            steps.append(replace(step, outcomes=known))
        started = [call_id for kind, ids in self.entries if kind == "started" for call_id in ids]
        return replace(
            turn,
            steps=steps,
            started_calls=frozenset(started),
            text=self.text,
            settled_text=self.settled,
            cost=self.cost,
        )


LIMITS = Limits(
    rounds=5,
    model_attempts=3,
    tools=ToolLimits(calls_per_round=8, parallel=3, same_calls=3, seconds=5, result_characters=2000),
)


@dataclass
class Bench:
    """A loop over the fakes."""

    model: ScriptedModel
    tools: FakeToolServer
    journal: MemoryJournal
    limits: Limits = LIMITS
    turn: Turn = field(
        default_factory=lambda: Turn(
            workspace="acme",
            base_id="",
            run_id="run",
            model="gemini-3.8-flash",
            thinking_budget=None,
            message="hello",
        )
    )
    waits: list[float] = field(default_factory=list)

    async def run(self, *, seconds: float = 20) -> Ended:
        async def sleep(delay: float) -> None:
            self.waits.append(delay)

        model_calls = ModelCalls(self.model, attempts=self.limits.model_attempts, sleep=sleep, jitter=lambda: 0.5)
        loop = ToolLoop(
            self.model,
            self.tools,
            load_catalog(),
            self.limits,
            calls=model_calls,
            day=lambda: date(2026, 11, 22),
        )
        return await loop.run(self.turn, self.journal, seconds=seconds)

    def told(self, request: int = -1) -> list[Content]:
        """What the model was sent."""
        return list(self.model.requests[request].contents)


def bench(*script: Reply | BreaksOff | PyAirtableError, **fields: Any) -> Bench:
    """A loop whose model gives these answers: `bench(says("", calls()), says("done"))`."""
    return Bench(ScriptedModel(list(script)), fields.pop("tools", FakeToolServer()), MemoryJournal(), **fields)
