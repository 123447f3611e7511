"""What the rules of sagas need from outside: other services, the journal of sagas, durable execution."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .model import Json, Saga, StepState

if TYPE_CHECKING:
    from pyairtable_platform.common.workspace import Workspace


class Fenced(asyncio.CancelledError):
    """This process does not carry the saga out any more. Ends the task without a trace: another has the last word."""


class Interrupted(Exception):
    """Somebody asked to cancel the saga while it waited, or in a step that can stop."""


@dataclass(frozen=True)
class Account:
    """A person's account. `state` is ACTIVE, DISABLED or UNVERIFIED."""

    user_id: str
    email: str
    user_name: str
    state: str
    display_name: str = ""


@dataclass(frozen=True)
class VerifiedBase:
    """A base as Airtable shows it to a workspace's token; `tables` are (id, name)."""

    base_id: str
    name: str
    permission_level: str
    tables: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TableOf:
    """Where a table is; `base` and `table` by id or name."""

    workspace: str
    base: str
    table: str


@dataclass(frozen=True)
class FieldOf:
    """A field of a table."""

    id: str
    name: str
    type: str
    options: Json


@dataclass(frozen=True)
class TableSchema:
    """A table with its fields."""

    id: str
    name: str
    fields: tuple[FieldOf, ...]


@dataclass(frozen=True)
class Row:
    """A record: cells by field name. `id` is empty for one that is to be made."""

    id: str
    cells: Json


@dataclass(frozen=True)
class Written:
    """What became of a row: `state` is created, updated, deleted, failed, unknown or not_attempted."""

    record_id: str
    state: str
    error: str = ""


class Accounts(Protocol):
    """The auth service."""

    async def account(self, user_id: str) -> Account | None: ...
    async def set_state(self, user_id: str, state: str, key: str) -> None: ...
    async def send_letter(self, user_id: str, template: str, values: dict[str, str], key: str) -> None: ...


class Profiles(Protocol):
    """The user service."""

    async def create(self, account: Account, key: str) -> bool: ...
    async def undo_create(self, user_id: str, undoes: str) -> None: ...


class Provisioning(Protocol):
    """The workspace service."""

    async def reserve(self, name: str, display_name: str, owner: Account, key: str, *, any_name: bool) -> str: ...
    async def release(self, undoes: str) -> None: ...
    async def declare(self, name: str, key: str) -> str: ...
    async def activate(self, name: str, key: str) -> None: ...
    async def bind(self, workspace: str, binding: Json, principal: str, key: str) -> Json: ...
    async def unbind(self, undoes: str) -> None: ...
    async def apply_template(self, workspace: str, base: str, template: str) -> Json: ...


class Airtable(Protocol):
    """The gateway to Airtable."""

    async def verify(self, workspace: Workspace, base_id: str) -> VerifiedBase: ...
    async def prime(self, workspace: str, base_id: str) -> int: ...
    async def table(self, table: TableOf) -> TableSchema: ...
    async def rows(self, table: TableOf, fields: Sequence[str]) -> list[Row]: ...
    async def create(self, table: TableOf, rows: Sequence[Json], key: str, *, typecast: bool) -> list[Written]: ...
    async def update(self, table: TableOf, rows: Sequence[Row], key: str, *, typecast: bool) -> list[Written]: ...
    async def delete(self, table: TableOf, ids: Sequence[str], key: str) -> list[Written]: ...


class PersonData(Protocol):
    """Every service that keeps data about people. `service` is auth, users, workspaces, chat or sagas."""

    async def erase(self, service: str, user_id: str, key: str, *, dry_run: bool) -> dict[str, int]: ...


class Workspaces(Protocol):
    """The registry, from memory. Raises NotFound, and Denied for a suspended workspace."""

    def resolve(self, name: str) -> Workspace: ...


@dataclass(frozen=True)
class Platform:
    """All that steps can call."""

    accounts: Accounts
    profiles: Profiles
    provisioning: Provisioning
    airtable: Airtable
    people: PersonData
    workspaces: Workspaces


@dataclass(frozen=True)
class Claim:
    """Who carries a saga out: a process (`executor`, for one life of it) that took it up for the `number`th time."""

    saga_id: str
    executor: str
    number: int


class Journal(Protocol):
    """What is kept of sagas and shown to people. Writing under a claim that another took over raises Fenced."""

    async def claim(self, saga_id: str) -> Claim:
        """Take a saga up. Raises Fenced when this process itself counts as dead."""
        ...

    async def load(self, saga_id: str) -> Saga: ...

    async def begin(self, claim: Claim) -> Saga:
        """Say that the saga goes on, and return it."""
        ...

    async def begin_attempt(self, claim: Claim, step: str, state: StepState) -> Saga:
        """Count an attempt of a step, unless it has ended in this direction; the saga as it is then."""
        ...

    async def note(self, claim: Claim, step: str, memo: Json) -> None: ...

    async def end_attempt(
        self,
        claim: Claim,
        step: str,
        state: StepState,
        *,
        output: Json | None = None,
        memo: Json | None = None,
        error: str = "",
        error_reason: str = "",
    ) -> None: ...

    async def turn_back(self, claim: Claim, error: str, error_reason: str) -> Saga:
        """Say that what was done is being undone from now on, and why; the saga as it is then."""
        ...

    async def end(self, claim: Claim, outcome: Outcome) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """How a saga ended: COMPLETED with its output, COMPENSATED, or FAILED; `error` says why.

    `is_nobodys`: whom it was about is not kept any more.
    """

    state: str
    output: Json | None = None
    error: str = ""
    error_reason: str = ""
    is_nobodys: bool = False


class Durable(Protocol):
    """Durable execution of one saga: what is done in `step` is remembered and not done again after a crash."""

    async def step(self, name: str, work: Callable[[], Awaitable[Json]]) -> Json:
        """The result of `work`; after a crash that of the earlier run, if it came to its end."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; after a crash only for what is left."""
        ...


class Cancellations(Protocol):
    """Who asks to cancel a saga, at whatever replica."""

    async def asked(self, saga_id: str) -> None:
        """Return when somebody asks to cancel the saga, or has."""
        ...

    async def is_asked(self, saga_id: str) -> bool:
        """Whether somebody has asked to cancel the saga."""
        ...


class Engine(Protocol):
    """Starts the durable execution of sagas."""

    async def start(self, saga_id: str, run: int) -> None:
        """Put a run of a saga into the queue. Repeated, it changes nothing."""
        ...
