"""The steps of sagas over two replicas: once by their keys, taken back, refused when they come late."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from integration.workspaces.people_kit import Installation, Person
from integration.workspaces.test_invitations import reason_of, statement

from pyairtable_platform.common.errors import Denied, FailedPrecondition, InvalidInput, NotFound, Reason
from pyairtable_protos.workspaces.v1 import workspace_pb2

BASE = "appAcmeRenovation"


def reserving(owner: Person, name: str = "acme", **more: Any) -> dict[str, Any]:
    given = {"owner_user_id": owner.user_id, "owner_email": owner.email, "display_name": "Acme"}
    return {"name": name, "idempotency_key": "k:reserve", **given, **more}


def binding(name: str = "crm", base_id: str = BASE, **more: Any) -> workspace_pb2.BaseBinding:
    given = {"access": workspace_pb2.BASE_ACCESS_READ_WRITE, **more}
    return workspace_pb2.BaseBinding(name=name, base_id=base_id, **given)


async def test_a_reserved_workspace_is_nobodys_yet(installation: Installation) -> None:
    ada = installation.person("ada")
    assert (await installation.peer("ReserveWorkspace", **reserving(ada))).name == "acme"
    assert not (await ada.ask("ListMyWorkspaces")).workspaces
    assert not (await installation.peer("ListWorkspaces")).workspaces
    assert (await installation.peer("DeclareWorkspace", name="acme", idempotency_key="k:d")).object == ""
    answer = await installation.peer("ActivateWorkspace", name="acme", idempotency_key="k:a")
    assert (answer.workspace.name, answer.workspace.source.kind) == ("acme", "Api")
    assert answer.workspace.source.uid


async def test_a_step_that_comes_again_has_no_further_effect(installation: Installation) -> None:
    ada = installation.person("ada")
    for rpc, fields in {
        "ReserveWorkspace": reserving(ada),
        "DeclareWorkspace": {"name": "acme", "idempotency_key": "k:d"},
        "ActivateWorkspace": {"name": "acme", "idempotency_key": "k:a"},
    }.items():
        first = await installation.peer(rpc, **fields)
        assert await installation.peer(rpc, door=1, **fields) == first
        with pytest.raises(FailedPrecondition) as refusal:
            await installation.peer(rpc, **{**fields, "name": "other"})
        assert refusal.value.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert len((await installation.peer("ListWorkspaces", door=1)).workspaces) == 1


async def test_of_many_who_want_a_name_one_gets_it(installation: Installation) -> None:
    people = [installation.person(f"p{number}") for number in range(10)]
    found = await asyncio.gather(
        *(
            reason_of(installation.peer("ReserveWorkspace", door=n % 2, **reserving(p, idempotency_key=f"{n}:reserve")))
            for n, p in enumerate(people)
        )
    )
    assert sorted(found) == ["CONFLICT"] * 9 + ["done"]


async def test_any_name_is_another_name_when_it_is_taken(installation: Installation) -> None:
    names = []
    for number in range(3):
        person = installation.person(f"p{number}")
        fields = reserving(person, "Zoë Büro", idempotency_key=f"{number}:r", any_name=True)
        names.append((await installation.peer("ReserveWorkspace", **fields)).name)
    assert names == ["zoe-buro", "zoe-buro-2", "zoe-buro-3"]
    person = installation.person("ada")
    fields = reserving(person, "\u202e☃", idempotency_key="9:r", any_name=True)
    assert (await installation.peer("ReserveWorkspace", **fields)).name == "workspace"


@pytest.mark.parametrize("name", ["Acme", "-a", "a.b", "ä", "a" * 61, "../etc", "a b"])
async def test_what_is_no_name(installation: Installation, name: str) -> None:
    with pytest.raises(InvalidInput):
        await installation.peer("ReserveWorkspace", **reserving(installation.person("ada"), name))


async def test_release_takes_everything_back(installation: Installation) -> None:
    ada = installation.person("ada")
    await installation.workspace(ada, key="k")
    await ada.ask("CreateInvitation", own="owner", workspace="acme", email="bob@acme.example", role="viewer")
    assert (await installation.peer("ReleaseWorkspace", undoes="k:reserve", door=1)).undone
    assert (await installation.peer("ReleaseWorkspace", undoes="k:reserve")).undone, "the same answer"
    with pytest.raises(NotFound):
        await installation.peer("GetWorkspace", workspace="acme", door=1)
    for table in ("members", "invitations", "reservations"):
        assert not await statement(installation.database_url, f"SELECT 1 FROM {table}")  # noqa: S608
    assert not (await ada.ask("ListMyWorkspaces")).workspaces
    eve = installation.person("eve")
    await installation.workspace(eve)  # the name is free again


async def test_steps_that_come_after_their_release_are_refused(installation: Installation) -> None:
    ada = installation.person("ada")
    assert not (await installation.peer("ReleaseWorkspace", undoes="k:reserve")).undone
    assert await reason_of(installation.peer("ReserveWorkspace", **reserving(ada))) == "CONFLICT"
    await installation.peer("ReserveWorkspace", **reserving(ada, idempotency_key="l:reserve"))
    assert (await installation.peer("ReleaseWorkspace", undoes="l:reserve")).undone
    for rpc in ("DeclareWorkspace", "ActivateWorkspace"):
        assert await reason_of(installation.peer(rpc, name="acme", idempotency_key=f"l:{rpc}")) == "CONFLICT"
    assert not (await installation.peer("ListWorkspaces")).workspaces


async def test_release_leaves_alone_what_took_the_name_since(installation: Installation) -> None:
    ada, eve = installation.person("ada"), installation.person("eve")
    await installation.workspace(ada, key="k")
    await ada.ask("DeleteWorkspace", own="owner", workspace="acme")
    await installation.workspace(eve, key="l")
    await installation.peer("ReleaseWorkspace", undoes="k:reserve")
    assert [item.name for item in (await eve.ask("ListMyWorkspaces")).workspaces] == ["acme"]


async def test_a_custom_resource_does_not_take_the_place_of_a_call(installation: Installation) -> None:
    ada = installation.person("ada")
    await installation.peer("ReserveWorkspace", **reserving(ada))
    assert await reason_of(installation.declare("acme")) == "CONFLICT"
    await installation.peer("ActivateWorkspace", name="acme", idempotency_key="k:a")
    assert await reason_of(installation.declare("acme")) == "CONFLICT"
    await installation.declare("other")
    assert await reason_of(installation.peer("ReserveWorkspace", **reserving(ada, "other", idempotency_key="x"))) == (
        "CONFLICT"
    )


async def test_a_base_is_bound_and_taken_out_again(installation: Installation) -> None:
    ada = installation.person("ada")
    await installation.workspace(ada)
    fields = {"workspace_name": "acme", "base": binding(), "principal": f"user:{ada.user_id}"}
    with pytest.raises(FailedPrecondition, match="SHARED_AIRTABLE_TOKEN") as refusal:
        await installation.peer("BindBase", idempotency_key="b", **fields)
    assert refusal.value.reason is Reason.CREDENTIAL_MISSING


async def test_only_peers_make_steps(installation: Installation) -> None:
    ada = installation.person("ada")
    with pytest.raises(Denied):
        await ada.ask("ReserveWorkspace", **reserving(ada))
    with pytest.raises(Denied):
        await ada.ask("ErasePerson", user_id=ada.user_id, idempotency_key="x")
