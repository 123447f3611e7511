"""Members over two replicas: roles, the last owner, and what travels on the stream."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from integration.workspaces.conftest import until
from integration.workspaces.people_kit import Installation, Person

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.errors import Denied, FailedPrecondition, NotFound, PyAirtableError, Reason
from pyairtable_platform.common.registry import WorkspaceRegistry


async def roles(person: Person, workspace: str = "acme") -> dict[str, str]:
    answer = await person.ask("ListMembers", own="viewer", workspace=workspace)
    return {member.user_id: member.role for member in answer.members}


async def test_the_first_owner_is_there_with_the_workspace(installation: Installation) -> None:
    ada = installation.person("ada")
    await installation.workspace(ada)
    assert await roles(ada) == {ada.user_id: "owner"}
    mine = (await ada.ask("ListMyWorkspaces", door=1)).workspaces
    assert [(item.name, item.source.kind, item.members[0].user_id) for item in mine] == [("acme", "Api", ada.user_id)]
    assert not (await installation.person("eve").ask("ListMyWorkspaces")).workspaces


async def test_a_change_of_members_travels_on_the_stream(installation: Installation) -> None:
    ada = installation.person("ada")
    await installation.workspace(ada)
    channel = installation.doors[1].channel

    class Followed(ServiceChannel):
        async def metadata(self) -> tuple[tuple[str, str], ...]:
            return (("x-api-key", "plainly-not-a-real-api-key"),)

    followed = Followed("unused:1")
    await followed.channel.close()
    followed.channel = channel
    registry = WorkspaceRegistry(followed)
    following = asyncio.create_task(registry.follow())
    await registry.heard()

    def heard() -> dict[str, str]:
        return {member.user_id: member.role for member in registry.find("acme").members}

    await until(lambda: heard() == {ada.user_id: "owner"})
    before = registry.revision
    bob = await installation.join("acme", ada, "bob", "editor")
    await until(lambda: heard() == {ada.user_id: "owner", bob.user_id: "editor"})
    assert registry.revision > before
    await ada.ask("UpdateMember", own="owner", workspace="acme", user_id=bob.user_id, role="viewer")
    await until(lambda: heard()[bob.user_id] == "viewer")
    await ada.ask("RemoveMember", own="owner", workspace="acme", user_id=bob.user_id)
    await until(lambda: heard() == {ada.user_id: "owner"})
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


@pytest.mark.parametrize(
    ("own", "target", "role"),
    [("admin", "viewer", "owner"), ("admin", "owner", "viewer")],
)
async def test_nobody_reaches_above_their_own_role(
    installation: Installation, own: str, target: str, role: str
) -> None:
    ada = installation.person("ada")
    await installation.workspace(ada)
    actor = await installation.join("acme", ada, "actor", own)
    other = await installation.join("acme", ada, "other", target)
    with pytest.raises(Denied):
        await actor.ask("UpdateMember", own=own, workspace="acme", user_id=other.user_id, role=role)
    if target == "owner":
        with pytest.raises(Denied):
            await actor.ask("RemoveMember", own=own, workspace="acme", user_id=other.user_id)
    with pytest.raises(Denied):
        await actor.ask("CreateInvitation", own=own, workspace="acme", email="new@acme.example", role="owner")
    assert (await roles(ada))[other.user_id] == target


async def test_an_editor_manages_nobody(installation: Installation) -> None:
    ada = installation.person("ada")
    await installation.workspace(ada)
    bob = await installation.join("acme", ada, "bob", "editor")
    for rpc, fields in {
        "UpdateMember": {"user_id": ada.user_id, "role": "viewer"},
        "RemoveMember": {"user_id": ada.user_id},
        "CreateInvitation": {"email": "x@acme.example", "role": "viewer"},
        "ListInvitations": {},
        "DeleteWorkspace": {},
        "ListAuditLog": {},
    }.items():
        with pytest.raises(Denied):
            await bob.ask(rpc, own="editor", workspace="acme", **fields)


async def test_a_token_that_says_more_than_is_true_by_now_is_not_believed(installation: Installation) -> None:
    ada = installation.person("ada")
    await installation.workspace(ada)
    bob = await installation.join("acme", ada, "bob", "viewer")
    with pytest.raises(Denied):
        await bob.ask("UpdateMember", own="owner", workspace="acme", user_id=bob.user_id, role="owner")
    await ada.ask("RemoveMember", own="owner", workspace="acme", user_id=bob.user_id)
    with pytest.raises(Denied):
        await bob.ask("CreateInvitation", own="owner", workspace="acme", email="b2@acme.example", role="owner")


async def outcome(call: Any) -> str:
    try:
        await call
    except PyAirtableError as error:
        return str(error.reason)
    return "done"


async def test_two_owners_who_leave_at_once_leave_one(installation: Installation) -> None:
    ada = installation.person("ada")
    await installation.workspace(ada)
    for number in range(5):
        bob = await installation.join("acme", ada, f"bob{number}", "owner")
        found = await asyncio.gather(
            outcome(ada.ask("LeaveWorkspace", workspace_name="acme", door=0)),
            outcome(bob.ask("LeaveWorkspace", workspace_name="acme", door=1)),
        )
        assert sorted(found) == ["CONFLICT", "done"]
        ada = ada if found[0] == "CONFLICT" else bob
        assert await roles(ada) == {ada.user_id: "owner"}


async def test_two_owners_who_demote_each_other_at_once_leave_one(installation: Installation) -> None:
    ada = installation.person("ada")
    await installation.workspace(ada)
    bob = await installation.join("acme", ada, "bob", "owner")
    fields = {"own": "owner", "workspace": "acme", "role": "viewer"}
    found = await asyncio.gather(
        outcome(ada.ask("UpdateMember", door=0, user_id=bob.user_id, **fields)),
        outcome(bob.ask("UpdateMember", door=1, user_id=ada.user_id, **fields)),
    )
    assert "done" in found
    assert list((await roles(ada)).values()).count("owner") == 1


async def test_the_last_owner_stays(installation: Installation) -> None:
    ada = installation.person("ada")
    await installation.workspace(ada)
    await installation.join("acme", ada, "bob", "admin")
    for rpc, fields in {
        "UpdateMember": {"own": "owner", "workspace": "acme", "user_id": ada.user_id, "role": "admin"},
        "RemoveMember": {"own": "owner", "workspace": "acme", "user_id": ada.user_id},
        "LeaveWorkspace": {"workspace_name": "acme"},
    }.items():
        with pytest.raises(FailedPrecondition, match="owner") as refusal:
            await ada.ask(rpc, **fields)
        assert refusal.value.reason is Reason.CONFLICT


async def test_an_owner_of_the_declaration_counts_and_is_changed_there_only(installation: Installation) -> None:
    ada = installation.person("ada", "Ada@acme.example")
    await installation.declare("acme", "ada@acme.example", "nobody-yet@acme.example")
    bob = await installation.join("acme", ada, "bob", "owner")
    answer = await ada.ask("ListMembers", own="owner", workspace="acme")
    assert [(member.user_id, member.role, member.declared) for member in answer.members] == [
        (ada.user_id, "owner", True),
        (bob.user_id, "owner", False),
        ("", "owner", True),
    ]
    await bob.ask("LeaveWorkspace", workspace_name="acme")
    for rpc, fields in {
        "UpdateMember": {"own": "owner", "workspace": "acme", "user_id": ada.user_id, "role": "admin"},
        "RemoveMember": {"own": "owner", "workspace": "acme", "user_id": ada.user_id},
        "LeaveWorkspace": {"workspace_name": "acme"},
    }.items():
        with pytest.raises(FailedPrecondition, match="kubectl edit workspace acme") as refusal:
            await ada.ask(rpc, **fields)
        assert refusal.value.reason is Reason.OWNED_ELSEWHERE
        assert refusal.value.metadata["object"] == "Workspace/acme"
    assert [item.name for item in (await ada.ask("ListMyWorkspaces")).workspaces] == ["acme"]


async def test_whom_nobody_knows(installation: Installation) -> None:
    ada, eve = installation.person("ada"), installation.person("eve")
    await installation.workspace(ada)
    with pytest.raises(NotFound) as refusal:
        await ada.ask("RemoveMember", own="owner", workspace="acme", user_id=eve.user_id)
    assert refusal.value.reason is Reason.MEMBER_NOT_FOUND
    texts = set()
    for name in ("acme", "nowhere"):  # a stranger is not told which of them is there
        with pytest.raises(NotFound) as refusal:
            await eve.ask("LeaveWorkspace", workspace_name=name)
        texts.add(str(refusal.value).replace(name, "X"))
    assert len(texts) == 1


async def test_another_workspaces_members_are_out_of_reach(installation: Installation) -> None:
    ada, eve = installation.person("ada"), installation.person("eve")
    await installation.workspace(ada)
    await installation.workspace(eve, "evil")
    token = installation.around.auth.token(f"user:{eve.user_id}", "evil", "owner")
    shown = (("authorization", f"Bearer {token}"),)
    for rpc, fields in {
        "ListMembers": {},
        "RemoveMember": {"user_id": ada.user_id},
        "ListAuditLog": {},
        "DeleteWorkspace": {},
        "ListInvitations": {},
    }.items():
        with pytest.raises(Denied):
            await installation.doors[0].ask(rpc, shown, workspace="acme", **fields)
