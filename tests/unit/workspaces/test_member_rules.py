"""The rules about members, addresses and names, without I/O."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.workspaces.memory_store import workspace

from pyairtable_platform.common.errors import Denied, FailedPrecondition, InvalidInput, NotFound, Reason
from pyairtable_platform.common.roles import ROLES, rank_of
from pyairtable_platform.common.workspace import Member, Source
from pyairtable_platform.workspaces.members import rules
from pyairtable_platform.workspaces.members.rules import Actor
from pyairtable_platform.workspaces.members.tokens import hash_of, new_token
from pyairtable_platform.workspaces.provisioning.names import LONGEST, first_free, is_label, label, require_name

ROLE = st.sampled_from(ROLES)


def member(user_id: str, role: str = "viewer", *, declared: bool = False, email: str = "") -> Member:
    return Member("" if declared else user_id, email or f"{user_id}@acme.example", role, declared=declared)


@given(ROLE, ROLE)
def test_a_role_reaches_up_to_itself(own: str, other: str) -> None:
    if rank_of(other) <= rank_of(own):
        rules.require_above(own, other, "to try it")
    else:
        with pytest.raises(Denied, match=other):
            rules.require_above(own, other, "to try it")


@given(st.lists(ROLE, min_size=1, max_size=6), st.data())
def test_an_owner_is_always_left(given_roles: list[str], data: st.DataObject) -> None:
    members = [member(f"u{number}", role) for number, role in enumerate(given_roles)]
    leaving = data.draw(st.sampled_from(members))
    others = [item for item in members if item is not leaving]
    if leaving.role != "owner" or any(item.role == "owner" for item in others):
        rules.require_owner_stays(members, leaving, "acme")
    else:
        with pytest.raises(FailedPrecondition) as refusal:
            rules.require_owner_stays(members, leaving, "acme")
        assert refusal.value.reason is Reason.CONFLICT


def test_an_owner_of_the_declaration_counts_once_there_is_an_account() -> None:
    ada = member("ada", "owner")
    declared = member("", "owner", declared=True, email="Bob@acme.example")
    without = rules.resolved([declared, ada], {})
    with pytest.raises(FailedPrecondition):
        rules.require_owner_stays(without, ada, "acme")
    known = rules.resolved([declared, ada], {"bob@acme.example": "bob"})
    rules.require_owner_stays(known, ada, "acme")


def test_who_joined_and_is_declared_is_one_member() -> None:
    declared = member("", "owner", declared=True, email="ada@acme.example")
    found = rules.resolved([declared, member("ada", "viewer")], {"ada@acme.example": "ada"})
    assert [(item.user_id, item.role, item.declared) for item in found] == [("ada", "owner", True)]


def test_members_are_listed_by_role_and_address() -> None:
    found = rules.resolved(
        [member("b", "viewer"), member("z", "owner"), member("a", "viewer"), member("m", "admin")], {}
    )
    assert [item.user_id for item in found] == ["z", "m", "a", "b"]


@given(ROLE, ROLE)
def test_a_token_never_says_more_than_the_membership(token: str, stored: str) -> None:
    role = rules.role_now(Actor("user:u", "u", token), [member("u", stored)], "acme")
    assert rank_of(role) == min(rank_of(token), rank_of(stored))


def test_who_is_no_member_any_more_has_no_role() -> None:
    with pytest.raises(Denied):
        rules.role_now(Actor("user:u", "u", "owner"), [member("other", "owner")], "acme")
    assert rules.role_now(Actor("access-key:k", "", "admin"), [], "acme") == "admin"


def test_an_owner_by_address_is_what_the_token_says() -> None:
    declared = replace(workspace(), members=(member("", "owner", declared=True, email="ada@acme.example"),))
    assert rules.role_in(Actor("user:ada", "ada", "owner"), declared) == "owner"
    joined = replace(declared, members=(*declared.members, member("ada", "viewer")))
    assert rules.role_in(Actor("user:ada", "ada", "owner"), joined) == "viewer"


def test_nobody_is_found_by_an_empty_id() -> None:
    with pytest.raises(NotFound):
        rules.member_of([member("ada")], "bob", "acme")


@pytest.mark.parametrize(
    ("source", "what"),
    [(Source("Workspace", "u"), "kubectl edit workspace acme"), (Source("File"), "WORKSPACES_PATH")],
)
def test_it_is_told_where_to_change_what_others_own(source: Source, what: str) -> None:
    error = rules.owned_elsewhere(workspace(source=source), "its bases")
    assert what in error.message
    assert error.metadata["object"] == f"{source.kind}/acme"


@given(st.text(max_size=300))
def test_an_address_is_clean_or_refused(text: str) -> None:
    try:
        email = rules.address(text)
    except InvalidInput:
        return
    assert email.count("@") == 1
    assert len(email) <= rules.LONGEST_ADDRESS
    assert not any(character.isspace() or ord(character) < 32 for character in email)


@given(st.text(max_size=100))
def test_a_name_can_be_made_of_any_text(text: str) -> None:
    made = label(text)
    assert require_name(made) == made
    assert is_label(made)


async def test_names_that_are_taken_get_numbers() -> None:
    taken = {"a" * LONGEST, "a" * (LONGEST - 2) + "-2"}

    async def is_taken(name: str) -> bool:
        return name in taken

    name = await first_free("a" * LONGEST, is_taken)
    assert name == "a" * (LONGEST - 2) + "-3"
    assert is_label(name)


def test_tokens_are_random_and_only_their_hash_says_nothing() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    for token in tokens:
        assert token.startswith("pyi_")
        assert set(token[4:]) <= set(string.ascii_letters + string.digits + "-_")
        assert len(token[4:]) == 43
        assert len(hash_of(token)) == 32
