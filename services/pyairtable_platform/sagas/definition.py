"""What a type of sagas is made of: its input, its steps, and how each is done and undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from pyairtable_platform.common.errors import FieldViolation, InvalidInput, NotFound, Reason

from .model import Json
from .ports import Platform


class Input(BaseModel):
    """Base of the inputs of sagas: nothing is taken that the type does not know."""

    model_config = ConfigDict(extra="forbid", str_max_length=2000, use_attribute_docstrings=True)


class Who:
    """Who may start a saga of a type, as ListSagaTypes tells it."""

    PEER = "peer"
    SELF = "self"
    MANAGE = "manage"
    WRITE = "write"


@dataclass(frozen=True)
class Done:
    """What came of a step. `output` is shown to people; `memo` is kept for undoing it and shown to nobody."""

    output: Json = field(default_factory=dict)
    memo: Json | None = None
    skipped: bool = False


SKIPPED = Done(skipped=True)


class Note(Protocol):
    """Keeps a step's memo while the step is in progress; what is noted survives a crash."""

    async def __call__(self, memo: Json) -> None: ...


@dataclass(frozen=True)
class StepCall:
    """What a step is called with. The same `key` in every attempt, so that receivers can tell repetitions.

    `stop_here` raises when the saga was cancelled: for where a long step can stop, its undo knowing how far it is.
    """

    saga_id: str
    step: str
    input: Json
    results: Mapping[str, Json]
    principal: str
    tenant: str
    memos: Mapping[str, Json]
    note: Note
    stop_here: Callable[[], Awaitable[None]]

    @property
    def key(self) -> str:
        """Idempotency key of the step's effect."""
        return f"{self.saga_id}:{self.step}"

    @property
    def memo(self) -> Json:
        """What this step noted so far."""
        return self.memos.get(self.step, {})


Do = Callable[[Platform, StepCall], Awaitable[Done]]
Undo = Callable[[Platform, StepCall], Awaitable[None]]


@dataclass(frozen=True)
class Step:
    """A step. It must be repeatable under its key; `undo` must be so too, and hold even when `do` never arrived.

    `retried_reasons` are refusals that pass by themselves here, for example of what has not got about yet. One that
    `can_stop` only reads: a cancellation stops it at once, wherever it is.
    """

    name: str
    do: Do
    undo: Undo | None = None
    attempts: int = 10
    seconds: float = 10.0
    retried_reasons: frozenset[Reason] = frozenset()
    can_stop: bool = False


@dataclass(frozen=True)
class SagaType:
    """A type of sagas.

    `no_way_back` names the step from which on nothing is undone: a failure there needs somebody who looks.
    """

    name: str
    description: str
    input: type[Input]
    business_key: Callable[[Any], str]
    steps: tuple[Step, ...]
    who: str
    workspace: Callable[[Any], str] = lambda _: ""
    output: Callable[[Json, Mapping[str, Json]], Json] = lambda _, results: {}
    no_way_back: str = ""
    forgets_whom: bool = False
    """Whom it was about is not kept when it is completed."""

    def parse(self, given: Json) -> Any:
        """The input as this type takes it; raises InvalidInput that names what is wrong."""
        try:
            return self.input.model_validate(given)
        except ValidationError as error:
            violations = [_violation(dict(item)) for item in error.errors(include_url=False, include_input=False)]
            text = "; ".join(f"{item.field}: {item.description}" for item in violations)
            raise InvalidInput(f"{self.name} does not take this input: {text}", violations=violations) from error

    def step(self, name: str) -> Step:
        """One of its steps; raises NotFound for one that this version does not know."""
        found = next((step for step in self.steps if step.name == name), None)
        if found is None:
            raise NotFound(f'this version knows no step "{name}" of {self.name}: use the version that began the saga')
        return found

    def can_go_back_from(self, step: str) -> bool:
        """Whether a saga that stopped at a step is undone."""
        names = [item.name for item in self.steps]
        return not self.no_way_back or names.index(step) < names.index(self.no_way_back)


class Catalog:
    """The types there are."""

    def __init__(self, types: tuple[SagaType, ...]) -> None:
        self._types = {item.name: item for item in types}

    def all(self) -> list[SagaType]:
        """By name."""
        return [self._types[name] for name in sorted(self._types)]

    def get(self, name: str) -> SagaType:
        """A type; raises NotFound (SAGA_TYPE_NOT_FOUND)."""
        found = self._types.get(name)
        if found is None:
            known = ", ".join(sorted(self._types))
            text = f'there is no type "{name}" of sagas: it is one of {known}'
            raise NotFound(text, reason=Reason.SAGA_TYPE_NOT_FOUND, type=name)
        return found


def _violation(error: Json) -> FieldViolation:
    field_path = ".".join(["input", *map(str, error["loc"])])
    return FieldViolation(field_path, str(error["msg"]).removeprefix("Value error, "))
