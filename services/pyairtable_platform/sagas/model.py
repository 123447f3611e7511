"""What a saga and its steps are: plain values, and the states they go through."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pyairtable_platform.common.workspace import name_of

Json = dict[str, Any]


class SagaState(enum.StrEnum):
    """How far a saga is: pyairtable.sagas.v1.SagaState without its prefix."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    COMPENSATING = "COMPENSATING"
    COMPENSATED = "COMPENSATED"
    FAILED = "FAILED"

    @property
    def has_ended(self) -> bool:
        """Whether nothing happens any more by itself."""
        return self in (SagaState.COMPLETED, SagaState.COMPENSATED, SagaState.FAILED)


class StepState(enum.StrEnum):
    """How far a step is: pyairtable.sagas.v1.StepState without its prefix."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    COMPENSATING = "COMPENSATING"
    COMPENSATED = "COMPENSATED"
    COMPENSATION_FAILED = "COMPENSATION_FAILED"
    SKIPPED = "SKIPPED"

    @property
    def has_ended(self) -> bool:
        """Whether it is neither in progress nor still to come."""
        return self not in (StepState.PENDING, StepState.RUNNING, StepState.COMPENSATING)

    @property
    def is_done(self) -> bool:
        return self in (StepState.COMPLETED, StepState.SKIPPED)


@dataclass(frozen=True)
class StepRecord:
    """A step of a saga as it is kept. `memo` is what undoing it needs; it is shown to nobody."""

    name: str
    state: StepState = StepState.PENDING
    attempts: int = 0
    error: str = ""
    error_reason: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    output: Json | None = None
    memo: Json | None = None


@dataclass(frozen=True)
class Saga:
    """A saga as it is kept.

    `run` grows when it is resumed after a failure; `tenant` is that of the workspace it is about.
    """

    saga_id: str
    type: str
    state: SagaState
    business_key: str
    tenant: str
    principal: str
    input: Json
    created_at: datetime
    updated_at: datetime
    output: Json | None = None
    current_step: str = ""
    error: str = ""
    error_reason: str = ""
    ended_at: datetime | None = None
    run: int = 1
    is_going_back: bool = False
    cancel_asked: bool = False
    steps: tuple[StepRecord, ...] = field(default=(), compare=False)

    @property
    def workspace(self) -> str:
        """Name of the workspace it is about; empty for none."""
        return name_of(self.tenant)

    @property
    def steps_done(self) -> int:
        return sum(step.state.is_done for step in self.steps)

    def step(self, name: str) -> StepRecord:
        """One of its steps."""
        return next(step for step in self.steps if step.name == name)

    def results(self) -> Mapping[str, Json]:
        """Outputs of the steps that are done, by name."""
        return {step.name: step.output or {} for step in self.steps if step.state.is_done}
