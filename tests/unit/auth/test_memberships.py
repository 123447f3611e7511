"""Who has which role, and what a change of the registry takes back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyairtable_platform.auth.memberships import Memberships, Person, ServiceAccount, role_of, taken_back_in
from pyairtable_platform.auth.revocations import Revocation, RevocationFeed
from pyairtable_platform.common.errors import Denied
from pyairtable_platform.common.roles import ROLES
from pyairtable_platform.common.workspace import LlmPolicy, Member, Owner, Source, Workspace
from pyairtable_platform.common.workspace import to_message as workspace_message
from pyairtable_protos.workspaces.v1 import workspace_service_pb2 as rpc

ADA = Person("ada", "ada@example.com")
BOT = ServiceAccount("ws-acme", "bot", "uid-of-bot")


def workspace(*members: Member, owners: tuple[Owner, ...] = (), uid: str = "uid-1", **fields: Any) -> Workspace:
    empty = Workspace("acme", "", 1, False, None, 0, (), LlmPolicy())
    return replace(empty, members=members, owners=owners, source=Source("Workspace", uid, 1), **fields)


def member(user_id: str, role: str) -> Member:
    return Member(user_id, f"{user_id}@example.com", role)


def declared(email: str) -> Member:
    return Member("", email, "owner", declared=True)


@pytest.mark.parametrize(
    ("members", "role"),
    [
        ((member("ada", "viewer"),), "viewer"),
        ((member("bob", "owner"),), ""),
        ((declared("Ada@Example.COM"),), "owner"),
        ((member("ada", "editor"), declared("ada@example.com")), "owner"),
        ((declared("ada@example.com.evil.example"),), ""),
        ((declared("not an address"),), ""),
        ((declared(""),), ""),
        ((Member("bob", "ada@example.com", "owner"),), ""),
    ],
)
def test_a_person_is_a_member_by_id_or_by_the_declared_address(members: tuple[Member, ...], role: str) -> None:
    assert role_of(ADA, workspace(*members)) == role


@pytest.mark.parametrize(
    ("owner", "role"),
    [
        (Owner("ServiceAccount", "bot", "ws-acme"), "owner"),
        (Owner("ServiceAccount", "bot", "ws-other"), ""),
        (Owner("ServiceAccount", "bot"), ""),
        (Owner("User", "bot", "ws-acme"), ""),
        (Owner("User", "system:serviceaccount:ws-acme:bot"), ""),
    ],
)
def test_a_service_account_owns_what_names_it(owner: Owner, role: str) -> None:
    assert role_of(BOT, workspace(owners=(owner,))) == role


PEOPLE = st.dictionaries(st.sampled_from(["ada", "bob", "cy"]), st.sampled_from(ROLES))


@given(before=PEOPLE, after=PEOPLE)
def test_whoever_loses_or_changes_a_role_is_taken_back_and_nobody_else(
    before: dict[str, str], after: dict[str, str]
) -> None:
    old = workspace(*(member(*each) for each in before.items()))
    new = workspace(*(member(*each) for each in after.items()))
    told = {revocation.principal for revocation in taken_back_in(old, new, 7)}
    assert told == {f"user:{name}" for name, role in before.items() if after.get(name) != role}


@pytest.mark.parametrize(
    ("old", "new", "is_cut_off"),
    [
        (workspace(), None, True),
        (workspace(), workspace(uid="uid-2"), True),
        (workspace(), workspace(suspended=True), True),
        (workspace(suspended=True), workspace(), False),
        (workspace(), workspace(owners=(Owner("Group", "admins"),)), True),
        (workspace(declared("a@example.com")), workspace(), True),
        (workspace(), workspace(monthly_call_budget=5), False),
    ],
)
def test_everybody_is_cut_off_when_the_workspace_is_another(old: Workspace, new: Workspace, is_cut_off: bool) -> None:
    everybody = Revocation(workspace="acme", revision=7)
    assert list(taken_back_in(old, new, 7)) == ([everybody] if is_cut_off else [])


def snapshot(registry: str, revision: int, *workspaces: Workspace) -> rpc.WatchWorkspacesResponse:
    update = rpc.WatchWorkspacesResponse(registry=registry, revision=revision)
    update.snapshot.SetInParent()
    update.snapshot.workspaces.extend(map(workspace_message, workspaces))
    return update


def test_another_registry_begins_with_its_own_revisions() -> None:
    """Revisions of the old one would refuse tokens for ever."""
    feed = RevocationFeed()
    memberships = Memberships(cast(Any, None), feed)
    memberships.apply(snapshot("old", 500, workspace(member("ada", "owner"), version=400)))
    memberships.apply(snapshot("old", 501))
    assert {each.revision for each in feed.snapshot().revocations} == {501}
    memberships.apply(snapshot("new", 3, workspace(member("ada", "viewer"), version=2)))
    assert feed.snapshot().revocations == (Revocation(workspace="acme", revision=2),)
    assert memberships.right(ADA, "acme").role == "viewer"


def test_an_older_state_takes_nothing_back_and_gives_nothing() -> None:
    feed = RevocationFeed()
    memberships = Memberships(cast(Any, None), feed)
    memberships.apply(snapshot("r", 5, workspace(version=1)))
    memberships.apply(snapshot("r", 4, workspace(member("ada", "owner"), version=4)))
    assert feed.snapshot().revocations == (Revocation(workspace="acme", revision=1),)
    with pytest.raises(Denied):
        memberships.right(ADA, "acme")
