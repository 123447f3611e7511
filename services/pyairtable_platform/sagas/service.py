"""Who may start, see, cancel and resume which saga. No gRPC, SQL or DBOS here."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from pyairtable_platform.common.errors import (
    Denied,
    FailedPrecondition,
    InvalidInput,
    NotFound,
    PyAirtableError,
    Reason,
    Unavailable,
)
from pyairtable_platform.common.identity import Identity

from .definition import Catalog, SagaType, Who
from .model import Json, Saga, SagaState
from .ports import Workspaces

log = logging.getLogger(__name__)

PEERS_SCOPE = "peer"
DEFAULT_PAGE_SIZE = 100
READ = "read"


@dataclass(frozen=True)
class NewSaga:
    """A saga that somebody wants. `scope` is whose idempotency key it is; empty `key` is none."""

    type: str
    steps: tuple[str, ...]
    business_key: str
    tenant: str
    principal: str
    input: Json
    scope: str
    key: str = ""


@dataclass(frozen=True)
class Filter:
    """Which sagas a list shows; empty texts mean all. `tenant` is one workspace, `workspace` all of its name."""

    workspace: str = ""
    tenant: str = ""
    principal: str = ""
    type: str = ""
    state: str = ""


class Store(Protocol):
    """Sagas as they are kept (store.py)."""

    async def start(self, new: NewSaga) -> tuple[Saga, bool]: ...
    async def read(self, saga_id: str) -> Saga | None: ...
    async def page(self, wanted: Filter, size: int, token: str) -> tuple[list[Saga], str]: ...
    async def cancel(self, saga_id: str) -> bool: ...
    async def resume(self, saga_id: str) -> bool: ...


class Starting(Protocol):
    """Hands a run of a saga to the engine (caretaker.py)."""

    async def start_run(self, saga_id: str, run: int) -> None: ...


class Following(Protocol):
    """Sagas as they change (changes.py)."""

    def follow(self, saga: Saga, still: Callable[[], Awaitable[None]] | None = None) -> AsyncIterator[Saga]: ...
    async def end_of(self, saga: Saga, seconds: float) -> Saga: ...


class Entering(Protocol):
    """A person's identity in a workspace (common.access.Access); raises Denied or NotFound for others' workspaces."""

    async def entered(self, identity: Identity, workspace: str) -> Identity: ...


class Sagas:
    """What callers can do with sagas. `who` is the person; None for a peer."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        starting: Starting,
        changes: Following,
        workspaces: Workspaces,
        entering: Entering,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._starting = starting
        self._changes = changes
        self._workspaces = workspaces
        self._entering = entering

    def types(self) -> list[SagaType]:
        """All types, by name."""
        return self._catalog.all()

    async def start(self, who: Identity | None, type_name: str, given: Json, key: str) -> tuple[Saga, bool]:
        """Start a saga for whoever calls; the saga, and whether it is new."""
        definition = self._catalog.get(type_name)
        if who is None:
            return await self.start_for(type_name, given, key, "")
        if definition.who == Who.PEER:
            text = f"sagas of type {type_name} are started by the services of this installation only"
            raise Denied(text, type=type_name)
        if definition.who == Who.SELF:
            given = own_input(who, given)
        parsed = definition.parse(given)
        if definition.who != Who.SELF:
            await self._require(who, definition.workspace(parsed), definition.who)
        return await self._start(definition, parsed.model_dump(mode="json"), key, who.principal, who.principal)

    async def start_for(
        self, type_name: str, given: Json, key: str, principal: str, wait_seconds: float = 0
    ) -> tuple[Saga, bool]:
        """Start a saga on behalf of a service, and wait some seconds for its end."""
        definition = self._catalog.get(type_name)
        if definition.who == Who.SELF and not given.get("user_id"):
            raise InvalidInput.at("input.user_id", "say for whom")
        parsed = definition.parse(given).model_dump(mode="json")
        saga, is_new = await self._start(definition, parsed, key, principal, PEERS_SCOPE)
        return (await self._changes.end_of(saga, wait_seconds) if wait_seconds else saga), is_new

    async def get(self, who: Identity | None, saga_id: str) -> Saga:
        """A saga that the caller may see; raises NotFound (SAGA_NOT_FOUND), also for another's."""
        saga = await self._store.read(saga_id)
        if saga is None or not await self._may(who, saga, READ):
            raise no_saga(saga_id)
        return saga

    async def page(self, who: Identity | None, wanted: Filter, size: int, token: str) -> tuple[list[Saga], str]:
        """Sagas of a workspace, or those that the caller started and may see still; the newest first."""
        if who is not None and wanted.workspace:
            await self._require(who, wanted.workspace, READ)
            # Of this name there may have been another workspace before.
            wanted = replace(wanted, tenant=self._workspaces.resolve(wanted.workspace).tenant)
        elif who is not None:
            wanted = replace(wanted, principal=who.principal)
        found, following = await self._store.page(wanted, size or DEFAULT_PAGE_SIZE, token)
        return [saga for saga in found if wanted.workspace or await self._may(who, saga, READ)], following

    async def page_of_all(self, wanted: Filter, size: int, token: str) -> tuple[list[Saga], str]:
        """Everybody's sagas, the newest first."""
        return await self._store.page(wanted, size or DEFAULT_PAGE_SIZE, token)

    async def cancel(self, who: Identity | None, saga_id: str) -> Saga:
        """Let no further step begin, and undo what was done."""
        saga = await self._changeable(who, saga_id)
        definition = self._catalog.get(saga.type)
        if definition.no_way_back:
            raise FailedPrecondition(f"a saga of type {saga.type} cannot be taken back", saga=saga_id)
        # Asked again while it is being undone, it is still what the caller wanted.
        if saga.state is not SagaState.COMPENSATING and not await self._store.cancel(saga_id):
            saga = await self.get(who, saga_id)
            if saga.state is not SagaState.COMPENSATING:
                raise FailedPrecondition(f"saga {saga_id} has ended: it is {saga.state}", saga=saga_id)
        return await self.get(who, saga_id)

    async def resume(self, who: Identity | None, saga_id: str) -> Saga:
        """Let a saga that failed go on where it stopped."""
        saga = await self._changeable(who, saga_id)
        if not await self._store.resume(saga_id):
            text = f"saga {saga_id} is {saga.state}: only one that is FAILED can be resumed"
            raise FailedPrecondition(text, saga=saga_id)
        saga = await self.get(who, saga_id)
        await self._hand_over(saga)
        return saga

    async def watch(self, who: Identity | None, saga_id: str) -> AsyncIterator[Saga]:
        """A saga as it is, and after each change, until it has ended or the caller may not see it any more."""
        saga = await self.get(who, saga_id)

        async def may_still_see() -> None:
            if not await self._may(who, saga, READ):
                raise no_saga(saga_id)

        # What it is about never changes: the saga that was asked for stands for all that follow.
        async for latest in self._changes.follow(saga, may_still_see):
            await may_still_see()
            yield latest

    async def _start(
        self, definition: SagaType, given: Json, key: str, principal: str, scope: str
    ) -> tuple[Saga, bool]:
        parsed = definition.parse(given)
        name = definition.workspace(parsed)
        new = NewSaga(
            type=definition.name,
            steps=tuple(step.name for step in definition.steps),
            business_key=definition.business_key(parsed),
            tenant=self._workspaces.resolve(name).tenant if name else "",
            principal=principal,
            input=given,
            scope=scope,
            key=key,
        )
        saga, is_new = await self._store.start(new)
        if definition.who == Who.SELF and saga.principal != principal:
            text = f'somebody else is at "{new.business_key}" just now: choose another name, or try again later'
            raise FailedPrecondition(text, reason=Reason.CONFLICT)
        if saga.tenant != new.tenant:
            text = f'a saga of the workspace that was called "{name}" before is in progress: try again later'
            raise FailedPrecondition(text, reason=Reason.CONFLICT, workspace=name)
        if is_new:
            await self._hand_over(saga)
        return saga, is_new

    async def _hand_over(self, saga: Saga) -> None:
        """Hand a saga to the engine. It is kept already, so that an engine that is away only takes it up later."""
        try:
            await self._starting.start_run(saga.saga_id, saga.run)
        except Exception as error:  # whatever the engine raises
            log.warning("a saga will be taken up later", extra={"saga": saga.saga_id, "error": type(error).__name__})

    async def _changeable(self, who: Identity | None, saga_id: str) -> Saga:
        """A saga that the caller may change."""
        saga = await self.get(who, saga_id)
        need = self._catalog.get(saga.type).who
        if not await self._may(who, saga, need):
            raise Denied(f'this needs "{need}" in workspace "{saga.workspace}"', workspace=saga.workspace)
        return saga

    async def _may(self, who: Identity | None, saga: Saga, need: str) -> bool:
        if who is None or who.is_administrator:
            return True
        if not saga.tenant:
            return saga.principal == who.principal
        # Whoever started it: what it does in the workspace it does for those who may do that there now.
        if not self._is_current(saga):
            return False
        try:
            await self._require(who, saga.workspace, need)
        except Unavailable:
            raise
        except PyAirtableError:
            return False
        return True

    def _is_current(self, saga: Saga) -> bool:
        """Whether the workspace of this name is still the one that the saga was about."""
        try:
            return self._workspaces.resolve(saga.workspace).tenant == saga.tenant
        except (NotFound, Denied):
            return False

    async def _require(self, who: Identity, workspace: str, need: str) -> None:
        entered = await self._entering.entered(who, workspace)
        if need not in entered.scope:
            text = f'the role "{entered.role}" in workspace "{workspace}" does not allow this: it needs "{need}"'
            raise Denied(text, workspace=workspace, role=entered.role)


def no_saga(saga_id: str) -> NotFound:
    """The error for a saga that is not there, or that the caller may not know of."""
    return NotFound(f"there is no saga {saga_id}", reason=Reason.SAGA_NOT_FOUND, saga=saga_id)


def own_input(who: Identity, given: Json) -> Json:
    """The input of a saga that people start for themselves: whoever calls, with the address that they proved."""
    named = given.get("user_id", who.user_id)
    if named != who.user_id or given.get("email"):
        raise Denied("a person can start this for themselves only: leave user_id and email out")
    return {**given, "user_id": who.user_id}
