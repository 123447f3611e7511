"""What callers see of chats: sessions, messages, runs and the events of a run's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from .ports import Cost


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class EventKind(StrEnum):
    """Kinds of events, named as in pyairtable.chat.v1.RunEvent."""

    STARTED = "started"
    TEXT = "text"
    REWOUND = "rewound"
    TOOL_STARTED = "tool_started"
    TOOL_ENDED = "tool_ended"
    COST = "cost"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_end(self) -> bool:
        """Whether nothing follows an event of this kind."""
        return self in (EventKind.DONE, EventKind.FAILED, EventKind.CANCELLED)


@dataclass(frozen=True)
class RunEvent:
    """An entry of a run's log. `payload` has the fields of the kind's message."""

    id: int
    run_id: str
    time: datetime
    kind: EventKind
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class RunFailure:
    """Why a run failed: reason and words of a PyAirtableError."""

    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A turn as it stands."""

    id: str
    session_id: str
    workspace: str
    state: RunState
    model: str
    message: str
    response: str
    thoughts: str
    tools_used: Sequence[str]
    cost: Cost
    failure: RunFailure | None
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Session:
    """A conversation."""

    id: str
    workspace: str
    title: str
    created_at: datetime
    updated_at: datetime
    message_count: int


@dataclass(frozen=True)
class Message:
    """A message of a conversation, of "user" or "assistant". `run_id` is empty for what a caller brought along."""

    role: str
    content: str
    run_id: str
    created_at: datetime
    tools_used: Sequence[str]


@dataclass(frozen=True)
class SessionCost:
    """What a session cost. `model` is empty when there were several."""

    runs: int
    model: str
    cost: Cost


@dataclass(frozen=True)
class Whose:
    """Whose chats: a tenant's (`Workspace.tenant`), and in it one person's, or, with no owner, those that its keys and
    peers share. Ids of sessions and idempotency keys are each owner's own."""

    tenant: str
    owner: str = ""


@dataclass(frozen=True)
class NewRun:
    """A turn that is asked for. `digest` tells two requests with the same idempotency key apart."""

    whose: Whose
    principal: str
    session_id: str
    message: str
    seeds: Sequence[tuple[str, str]]
    base_id: str
    model: str
    thinking_budget: int | None
    idempotency_key: str
    digest: str
    request_id: str
    seconds: float
    role: str = ""
    declaration: str = ""


@dataclass(frozen=True)
class Lease:
    """The right to write a run's log. Every claim has a higher token, and only the highest one can write.

    Without an owner nobody works on the run yet.
    """

    run_id: str
    token: int
    tenant: str
    request_id: str
    role: str
    owner: str
