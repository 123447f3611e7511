"""What the tool loop speaks with, as plain values and protocols: a model, a tool server, the log of the run.

Contents are kept as the JSON of Gemini's `Content` ({"role": ..., "parts": [...]}), never as our own classes, so that a
thought signature that came from the model goes back to it byte for byte, also from the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

Content = dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """Tokens as the provider counted them. `input_tokens` includes `cached_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    cached_tokens: int = 0
    total_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.thinking_tokens + other.thinking_tokens,
            self.cached_tokens + other.cached_tokens,
            self.total_tokens + other.total_tokens,
        )


@dataclass(frozen=True)
class Cost:
    """Tokens and money of one or more model calls. `usd` is None when a price is not known."""

    usage: Usage = field(default_factory=Usage)
    model_calls: int = 0
    usd: Decimal | None = Decimal(0)

    def __add__(self, other: Cost) -> Cost:
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Cost(self.usage + other.usage, self.model_calls + other.model_calls, usd)


@dataclass(frozen=True)
class Tool:
    """A tool as the model is told of it."""

    name: str
    description: str
    input_schema: Mapping[str, Any]
    read_only: bool

    def takes(self, argument: str) -> bool:
        """Whether the tool has an argument of this name."""
        return argument in (self.input_schema.get("properties") or {})


@dataclass(frozen=True)
class FunctionCall:
    """A call that the model asks for. `id` is the model's own and may be empty."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True)
class Thinking:
    """The thinking knob to turn: at most one of the two is set; neither leaves it to the model."""

    budget: int | None = None
    level: str | None = None


@dataclass(frozen=True)
class ModelRequest:
    """One call to the model. `timeout` is in seconds."""

    model: str
    system: str
    contents: Sequence[Content]
    tools: Sequence[Tool]
    thinking: Thinking
    timeout: float


@dataclass(frozen=True)
class Chunk:
    """A piece of an answer while it streams; `usage` is what the provider has counted for this call so far."""

    text: str = ""
    usage: Usage | None = None


@dataclass(frozen=True)
class Reply:
    """A whole answer. `finish_reason` is the provider's word; `content` goes back to the model as it is."""

    content: Content
    text: str
    thoughts: str
    calls: Sequence[FunctionCall]
    finish_reason: str
    usage: Usage


class Model(Protocol):
    """A model that streams."""

    def stream(self, request: ModelRequest) -> AsyncIterator[Chunk | Reply]:
        """Ask once. Yields chunks and, last, the reply.

        Raises Unavailable (worth a repeat, maybe after `retry_after`), FailedPrecondition (MODEL_KEY_REJECTED,
        MODEL_REFUSED) or InvalidInput.
        """
        ...


@dataclass(frozen=True)
class Asker:
    """Who began a run, with which role (empty: a peer, no limit). `declaration`: see current_role.declaration_of."""

    principal: str = ""
    role: str = ""
    declaration: str = ""


@dataclass(frozen=True)
class ToolCall:
    """A call to the tool server. A repeat with the same key does not write again."""

    workspace: str
    name: str
    arguments: Mapping[str, Any]
    idempotency_key: str
    timeout: float
    asker: Asker = Asker()


class ToolServer(Protocol):
    """Where tools live."""

    async def list_tools(self) -> Sequence[Tool]:
        """Every tool there is."""
        ...

    async def call(self, call: ToolCall) -> dict[str, Any]:
        """Run a tool and return its structured result. A tool that fails raises a PyAirtableError."""
        ...


@dataclass(frozen=True)
class PlannedCall:
    """A tool call of a run. `id` is unique in the run and the same whoever works on it."""

    id: str
    call: FunctionCall

    @property
    def tool(self) -> str:
        """Name of the tool."""
        return self.call.name


@dataclass(frozen=True)
class ToolOutcome:
    """What became of a tool call: `response` is what the model is told."""

    response: Mapping[str, Any]
    error: str = ""
    summary: str = ""
    duration_ms: int = 0

    @property
    def is_error(self) -> bool:
        """Whether the tool failed."""
        return bool(self.error)


@dataclass(frozen=True)
class Step:
    """An answer of the model with its calls, and the outcomes that are known, by call id."""

    content: Content
    calls: Sequence[PlannedCall] = ()
    outcomes: Mapping[str, ToolOutcome] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """A turn as it stands in the log: empty for a new one, more for one that another worker began.

    `history` is the conversation before it; `started_calls` are ids of calls that the log already shows as begun;
    `text` is the answer so far and `settled_text` the part of it that whole model calls gave.
    """

    workspace: str
    base_id: str
    run_id: str
    model: str
    thinking_budget: int | None
    message: str
    history: Sequence[Content] = ()
    steps: Sequence[Step] = ()
    started_calls: frozenset[str] = frozenset()
    text: str = ""
    settled_text: str = ""
    thoughts: str = ""
    cost: Cost = field(default_factory=Cost)
    asker: Asker = Asker()


class LeaseLost(Exception):
    """Another worker has the run, or it is gone: whoever sees this must not touch it any more."""


class LogUnavailable(Exception):
    """The log cannot be written now. What was being written may be in it: read the turn again before going on."""


class Journal(Protocol):
    """The log of one run, for its one writer. Every method raises LeaseLost or LogUnavailable."""

    async def add_text(self, text: str) -> None:
        """Append a piece of the answer."""
        ...

    async def rewind(self, text: str) -> None:
        """Take back the pieces that a broken model call gave: the answer so far is `text`."""
        ...

    async def add_step(self, step: Step, *, thoughts: str, cost: Cost) -> None:
        """Keep an answer of the model, with the cost of the turn so far.

        Its calls stand in the log from here on, before any of them is made; the text so far is settled.
        """
        ...

    async def tools_started(self, calls: Sequence[PlannedCall]) -> None:
        """Say that these calls begin."""
        ...

    async def tool_ended(self, call: PlannedCall, outcome: ToolOutcome) -> None:
        """Keep what became of a call."""
        ...
