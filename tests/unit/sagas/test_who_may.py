"""Who sees and changes which saga: by what they may in its workspace now, whoever started it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from pyairtable_platform.common.errors import Denied, FailedPrecondition, NotFound
from pyairtable_platform.common.identity import Identity
from pyairtable_platform.common.roles import scope_of
from pyairtable_platform.sagas.model import Saga, SagaState
from pyairtable_platform.sagas.service import NewSaga, Sagas
from pyairtable_platform.sagas.types import CATALOG

MOMENT = datetime(2026, 11, 22, tzinfo=UTC)
TENANT = "acme:uid-1"


def person(name: str) -> Identity:
    return Identity(f"user:{name}", "", "", frozenset(), 9e9, "token", session=f"login:{name}")


ADA, EVE = person("ada"), person("eve")
CONNECTING = Saga("s1", "base_connection", SagaState.FAILED, "acme/b", TENANT, ADA.principal, {}, MOMENT, MOMENT)
CREATING = replace(CONNECTING, type="workspace_creation", state=SagaState.RUNNING, business_key="acme", tenant="")


@dataclass
class World:
    """One saga, and the roles of people in the only workspace."""

    saga: Saga
    roles: dict[str, str] = field(default_factory=dict)
    resumed: list[str] = field(default_factory=list)

    def sagas(self) -> Sagas:
        return Sagas(CATALOG, self, self, self, self, self)  # type: ignore[arg-type]

    async def read(self, saga_id: str) -> Saga | None:
        return self.saga if saga_id == self.saga.saga_id else None

    async def start(self, new: NewSaga) -> tuple[Saga, bool]:
        return self.saga, False

    async def resume(self, saga_id: str) -> bool:
        self.resumed.append(saga_id)
        return True

    async def start_run(self, saga_id: str, run: int) -> None:
        return None

    async def end_of(self, saga: Saga, seconds: float) -> Saga:
        return saga

    async def follow(self, saga: Saga, still: Callable[[], Awaitable[None]]) -> AsyncIterator[Saga]:
        yield saga
        self.roles.clear()
        yield saga

    def resolve(self, name: str) -> Any:
        return SimpleNamespace(tenant=TENANT)

    async def entered(self, identity: Identity, workspace: str) -> Identity:
        role = self.roles.get(identity.user_id)
        if role is None:
            raise Denied("no member")
        return replace(identity, workspace=workspace, role=role, scope=frozenset(scope_of(role).split()))


async def test_who_is_a_member_no_more_neither_sees_nor_resumes_what_they_started() -> None:
    world = World(CONNECTING, {"ada": "admin"})
    assert (await world.sagas().get(ADA, "s1")).saga_id == "s1"
    world.roles.clear()
    for call in (world.sagas().get, world.sagas().resume, world.sagas().cancel):
        with pytest.raises(NotFound):
            await call(ADA, "s1")
    assert not world.resumed


async def test_who_may_only_look_by_now_does_not_resume_what_they_started() -> None:
    world = World(CONNECTING, {"ada": "viewer"})
    assert (await world.sagas().get(ADA, "s1")).saga_id == "s1"
    with pytest.raises(Denied):
        await world.sagas().resume(ADA, "s1")
    assert not world.resumed
    world.roles["ada"] = "admin"
    await world.sagas().resume(ADA, "s1")
    assert world.resumed == ["s1"]


async def test_a_stream_ends_when_who_reads_it_is_removed() -> None:
    world = World(CONNECTING, {"ada": "viewer"})
    seen = []
    with pytest.raises(NotFound):
        async for saga in world.sagas().watch(ADA, "s1"):
            seen.append(saga)
    assert len(seen) == 1


async def test_the_saga_of_a_person_about_no_workspace_is_theirs() -> None:
    world = World(CREATING)
    assert (await world.sagas().get(ADA, "s1")).saga_id == "s1"
    with pytest.raises(NotFound):
        await world.sagas().get(EVE, "s1")


async def test_who_wants_a_name_that_another_is_taking_does_not_get_their_saga() -> None:
    world, given = World(CREATING), {"name": "acme"}
    saga, is_new = await world.sagas().start(ADA, "workspace_creation", given, "")
    assert (saga.principal, is_new) == (ADA.principal, False)
    with pytest.raises(FailedPrecondition, match="acme"):
        await world.sagas().start(EVE, "workspace_creation", given, "")
    with pytest.raises(FailedPrecondition, match="acme"):
        await world.sagas().start_for("workspace_creation", {**given, "user_id": "eve"}, "k", EVE.principal)
