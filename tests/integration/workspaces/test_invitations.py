"""Invitations over two replicas: once, by the right address only, in time, and whatever becomes of the letter."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy
from integration.workspaces.conftest import until
from integration.workspaces.people_kit import Installation, Person, running_installation
from integration.workspaces.stand_ins import Around
from sqlalchemy.ext.asyncio import create_async_engine

from pyairtable_devkit.databases import Valkey
from pyairtable_platform.common.errors import (
    Denied,
    FailedPrecondition,
    InvalidInput,
    NotFound,
    PyAirtableError,
    QuotaExhausted,
    RateLimited,
    Reason,
)
from pyairtable_protos.workspaces.v1 import member_service_pb2 as rpc

BOB = "bob@acme.example"


async def statement(url: str, text: str) -> list[Any]:
    """Run a statement as the owner of the database would."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(sqlalchemy.text("SET search_path TO workspaces"))
        result = await connection.execute(sqlalchemy.text(text))
        rows = list(result.all()) if result.returns_rows else []
    await engine.dispose()
    return rows


async def until_found(url: str, text: str) -> None:
    """Wait until a statement finds something."""
    for _ in range(600):
        if await statement(url, text):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing was found within 30 s: {text}")


@pytest.fixture
async def ada(installation: Installation) -> Person:
    """The owner of acme."""
    person = installation.person("ada")
    await installation.workspace(person)
    return person


async def invite(owner: Person, email: str = BOB, role: str = "editor", **more: Any) -> Any:
    answer = await owner.ask("CreateInvitation", own="owner", workspace="acme", email=email, role=role, **more)
    return answer.invitation


async def letter_to(installation: Installation, email: str = BOB) -> str:
    """The token in the last letter to an address."""

    def found() -> list[str]:
        return [item.values["token"] for item in installation.around.auth.letters if item.email == email]

    await until(lambda: bool(found()))
    return found()[-1]


async def states(owner: Person) -> list[int]:
    answer = await owner.ask("ListInvitations", own="owner", workspace="acme", with_ended=True)
    return [item.state for item in answer.invitations]


async def reason_of(call: Any) -> str:
    try:
        await call
    except PyAirtableError as error:
        return str(error.reason)
    return "done"


async def test_a_letter_makes_a_member(installation: Installation, ada: Person) -> None:
    made = await invite(ada)
    assert (made.workspace_display_name, made.state, made.invited_by) == ("Acme", 1, ada.user_id)
    assert made.expires_at.seconds - made.created_at.seconds == 7 * 24 * 3600
    token = await letter_to(installation)
    assert token.startswith("pyi_")
    assert len(token) == 4 + 43
    letter = installation.around.auth.letters[-1]
    assert (letter.template, letter.idempotency_key) == ("invitation", f"invitation:{made.invitation_id}")
    assert letter.sent_by == ada.user_id
    assert {**letter.values, "token": ""} == {
        "workspace": "acme",
        "display_name": "Acme",
        "role": "editor",
        "invited_by": ada.email,
        "token": "",
    }
    bob = installation.person("bob", "BOB@acme.example")
    answer = await bob.ask("AcceptInvitation", token=token, door=1)
    assert (answer.workspace, answer.role) == ("acme", "editor")
    members = (await bob.ask("ListMembers", own="editor", workspace="acme")).members
    assert [(item.email, item.role, item.invited_by) for item in members] == [
        (ada.email, "owner", ""),
        (bob.email, "editor", ada.user_id),
    ]
    assert await states(ada) == [rpc.INVITATION_STATE_ACCEPTED]


async def test_of_the_token_only_a_hash_is_kept(installation: Installation, ada: Person) -> None:
    await invite(ada)
    token = await letter_to(installation)
    tables = await statement(installation.database_url, "SELECT tablename FROM pg_tables WHERE schemaname='workspaces'")
    for (table,) in tables:
        for (row,) in await statement(installation.database_url, f"SELECT t::text FROM {table} t"):  # noqa: S608
            assert token not in row


@pytest.mark.parametrize("by_token", [True, False])
async def test_of_a_hundred_who_accept_at_once_one_wins(
    installation: Installation, ada: Person, by_token: bool
) -> None:
    made = await invite(ada)
    token = await letter_to(installation)
    bob = installation.person("bob")
    shown = {"token": token} if by_token else {"invitation_id": made.invitation_id}
    found = await asyncio.gather(
        *(reason_of(bob.ask("AcceptInvitation", door=number % 2, **shown)) for number in range(100))
    )
    assert found.count("done") == 1
    assert set(found) == {"done", "INVITATION_NOT_FOUND"}
    members = (await ada.ask("ListMembers", own="owner", workspace="acme")).members
    assert [member.user_id for member in members] == [ada.user_id, bob.user_id]
    joined = await statement(
        installation.database_url, "SELECT 1 FROM outbox WHERE type = 'workspace.invitation_accepted.v1'"
    )
    assert len(joined) == 1


async def test_an_invitation_is_for_its_address_only(installation: Installation, ada: Person) -> None:
    made = await invite(ada)
    token = await letter_to(installation)
    eve = installation.person("eve")
    for shown in ({"token": token}, {"invitation_id": made.invitation_id}):
        for call in ("AcceptInvitation", "DeclineInvitation"):
            with pytest.raises(Denied):
                await eve.ask(call, **shown)
    assert not (await eve.ask("ListMyInvitations")).invitations
    unproved = Person(installation, "nobody", BOB)
    with pytest.raises(Denied, match="proved"):
        await unproved.ask("AcceptInvitation", token=token)
    assert await states(ada) == [rpc.INVITATION_STATE_PENDING]


@pytest.mark.parametrize(
    "shown",
    [
        {"token": "pyi_" + "A" * 43},
        {"token": "'; DROP TABLE invitations; --"},
        {"token": "\u202e☃" * 40},
        {"invitation_id": "no-such-id"},
    ],
)
async def test_what_is_no_invitation_of_ours(installation: Installation, ada: Person, shown: dict[str, str]) -> None:
    bob = installation.person("bob")
    with pytest.raises(NotFound) as refusal:
        await bob.ask("AcceptInvitation", **shown)
    assert refusal.value.reason is Reason.INVITATION_NOT_FOUND


async def test_one_of_token_and_id_is_needed(installation: Installation) -> None:
    bob = installation.person("bob")
    for shown in ({}, {"token": "a", "invitation_id": "b"}):
        with pytest.raises(InvalidInput):
            await bob.ask("AcceptInvitation", **shown)


async def test_a_newer_invitation_takes_the_place_of_the_one_before(installation: Installation, ada: Person) -> None:
    await invite(ada, role="viewer")
    first = await letter_to(installation)
    await invite(ada, email="BOB@acme.example", role="admin")
    second = await letter_to(installation, "BOB@acme.example")
    bob = installation.person("bob")
    assert [item.role for item in (await bob.ask("ListMyInvitations")).invitations] == ["admin"]
    assert await reason_of(bob.ask("AcceptInvitation", token=first)) == "INVITATION_NOT_FOUND"
    assert (await bob.ask("AcceptInvitation", token=second)).role == "admin"
    assert await states(ada) == [rpc.INVITATION_STATE_ACCEPTED, rpc.INVITATION_STATE_REVOKED]
    told = "SELECT 1 FROM outbox WHERE type = 'workspace.invitation_revoked.v1'"
    assert len(await statement(installation.database_url, told)) == 1


async def test_an_invitation_expires_by_time(installation: Installation, ada: Person) -> None:
    await invite(ada)
    token = await letter_to(installation)
    await statement(installation.database_url, "UPDATE invitations SET expires_at = now()")
    bob = installation.person("bob")
    for call in ("AcceptInvitation", "DeclineInvitation"):
        assert await reason_of(bob.ask(call, token=token)) == "INVITATION_NOT_FOUND"
    assert await states(ada) == [rpc.INVITATION_STATE_EXPIRED]
    assert not (await ada.ask("ListInvitations", own="owner", workspace="acme")).invitations
    assert (await invite(ada)).state == rpc.INVITATION_STATE_PENDING, "another can be made"


async def test_declined_and_taken_back_invitations_are_over(installation: Installation, ada: Person) -> None:
    bob = installation.person("bob")
    made = await invite(ada)
    await bob.ask("DeclineInvitation", invitation_id=made.invitation_id)
    assert await reason_of(bob.ask("AcceptInvitation", invitation_id=made.invitation_id)) == "INVITATION_NOT_FOUND"
    made = await invite(ada)
    fields = {"own": "owner", "workspace": "acme", "invitation_id": made.invitation_id}
    assert (await ada.ask("RevokeInvitation", **fields)).invitation.state == rpc.INVITATION_STATE_REVOKED
    assert await reason_of(ada.ask("RevokeInvitation", **fields)) == "INVITATION_NOT_FOUND"
    assert await reason_of(bob.ask("AcceptInvitation", invitation_id=made.invitation_id)) == "INVITATION_NOT_FOUND"
    assert await states(ada) == [rpc.INVITATION_STATE_REVOKED, rpc.INVITATION_STATE_DECLINED]


async def test_another_workspace_cannot_take_an_invitation_back(installation: Installation, ada: Person) -> None:
    made = await invite(ada)
    eve = installation.person("eve")
    await installation.workspace(eve, "evil")
    call = eve.ask("RevokeInvitation", own="owner", workspace="evil", invitation_id=made.invitation_id)
    assert await reason_of(call) == "INVITATION_NOT_FOUND"
    assert await states(ada) == [rpc.INVITATION_STATE_PENDING]


async def test_who_is_removed_leaves_no_way_back(installation: Installation, ada: Person) -> None:
    """Neither an invitation of their own nor one that they made counts after them."""
    mallory = await installation.join("acme", ada, "mallory", "owner")
    friend = installation.person("friend")
    await mallory.ask("CreateInvitation", own="owner", workspace="acme", email=friend.email, role="owner")
    await ada.ask("RemoveMember", own="owner", workspace="acme", user_id=mallory.user_id)
    assert not (await friend.ask("ListMyInvitations")).invitations
    told = "SELECT 1 FROM outbox WHERE type = 'workspace.invitation_revoked.v1'"
    assert len(await statement(installation.database_url, told)) == 1


async def test_who_is_an_owner_by_declaration_no_more_leaves_no_way_back(installation: Installation) -> None:
    ada, bob, friend = (installation.person(name) for name in ("ada", "bob", "friend"))
    await installation.declare("acme", ada.email, bob.email)
    made = await invite(ada, email=friend.email, role="owner")
    counts = await invite(bob, email="carol@acme.example", role="owner")
    await installation.declare("acme", bob.email, generation=2)
    call = friend.ask("AcceptInvitation", invitation_id=made.invitation_id)
    assert await reason_of(call) == "INVITATION_NOT_FOUND"
    carol = installation.person("carol")
    assert (await carol.ask("AcceptInvitation", invitation_id=counts.invitation_id)).role == "owner"


async def test_a_token_that_outlives_its_membership_opens_no_way_back(installation: Installation) -> None:
    """For the moment until its revocation is heard it looks like one of an owner by declaration."""
    ada = installation.person("ada")
    await installation.declare("acme", ada.email)
    mallory = await installation.join("acme", ada, "mallory", "owner")
    await ada.ask("RemoveMember", own="owner", workspace="acme", user_id=mallory.user_id)
    friend = installation.person("friend")
    with suppress(Denied):
        await mallory.ask("CreateInvitation", own="owner", workspace="acme", email=friend.email, role="owner")
    for waiting in (await friend.ask("ListMyInvitations")).invitations:
        call = friend.ask("AcceptInvitation", invitation_id=waiting.invitation_id)
        assert await reason_of(call) == "INVITATION_NOT_FOUND"
    assert [each.user_id for each in (await ada.ask("ListMembers", own="owner", workspace="acme")).members] == [
        ada.user_id
    ]


async def test_keys_may_list_and_not_invite(installation: Installation, ada: Person) -> None:
    await invite(ada)
    assert len((await installation.key("ListInvitations", "admin", workspace="acme")).invitations) == 1
    with pytest.raises(Denied, match="person"):
        await installation.key("CreateInvitation", "admin", workspace="acme", email="x@acme.example", role="viewer")
    with pytest.raises(Denied):
        await installation.key("ListInvitations", "editor", workspace="acme")


async def test_a_persons_own_key_accepts_nothing(installation: Installation, ada: Person) -> None:
    made = await invite(ada)
    bob = installation.person("bob")
    with pytest.raises(PyAirtableError) as refusal:
        await bob.ask("AcceptInvitation", session="api-key:k1", invitation_id=made.invitation_id)
    assert refusal.value.reason in (Reason.DENIED, Reason.UNAUTHENTICATED)


async def test_members_are_not_invited_again(installation: Installation, ada: Person) -> None:
    bob = await installation.join("acme", ada, "bob", "viewer")
    for email in (bob.email.upper(), ada.email):
        with pytest.raises(FailedPrecondition, match="member"):
            await invite(ada, email=email)
    installation.around.auth.accounts[bob.user_id] = "bob@new.example"  # the address has changed since
    with pytest.raises(FailedPrecondition, match="member"):
        await invite(ada, email="bob@new.example")


@pytest.mark.parametrize(
    "email",
    ["bob", "bob@", "@acme.example", "bob@acme", "bo b@acme.example", "a@b@c.de", "bob@acme.example\r\nBcc: x@y.z"],
)
async def test_what_is_no_address(ada: Person, email: str) -> None:
    with pytest.raises(InvalidInput):
        await invite(ada, email=email)


async def test_addresses_of_any_script_are_taken(installation: Installation, ada: Person) -> None:
    await invite(ada, email="zoë@büro.example")
    await letter_to(installation, "zoë@büro.example")


async def test_while_letters_cannot_be_sent_invitations_are_kept(installation: Installation, ada: Person) -> None:
    bob = installation.person("bob")
    auth = installation.around.auth
    auth.is_away = True
    made = await invite(ada)
    tried = f"SELECT 1 FROM invitations WHERE invitation_id = '{made.invitation_id}' AND letter_attempts > 0"  # noqa: S608
    await until_found(installation.database_url, tried)
    assert not auth.letters
    auth.is_away = False
    await statement(installation.database_url, "UPDATE invitations SET letter_due_at = now()")
    token = await letter_to(installation)
    assert (await bob.ask("AcceptInvitation", token=token)).role == "editor"


async def test_every_letter_of_an_invitation_counts(installation: Installation, ada: Person) -> None:
    """A letter whose sending was in doubt is sent again, and nobody knows which of the two is read."""
    await invite(ada)
    first = await letter_to(installation)
    installation.around.auth.letters.clear()
    await statement(installation.database_url, "UPDATE invitations SET letter_due_at = now()")
    assert await letter_to(installation) != first
    assert (await installation.person("bob").ask("AcceptInvitation", token=first)).role == "editor"


async def test_limits(around: Around, database_url: str, valkey: Valkey) -> None:
    limits = {"invitations_per_hour": 3, "members_per_workspace": 2, "workspaces_per_person": 2}
    async with running_installation(around, database_url, valkey.url, replicas=1, **limits) as installation:
        ada = installation.person("ada")
        await installation.workspace(ada)
        carol = installation.person("carol")
        await invite(ada, email=carol.email)
        await installation.join("acme", ada, "bob", "viewer")
        with pytest.raises(QuotaExhausted, match="MEMBERS_PER_WORKSPACE"):
            await carol.ask("AcceptInvitation", token=await letter_to(installation, carol.email))
        with pytest.raises(QuotaExhausted):
            await invite(ada, email="dan@acme.example")
        await installation.workspace(ada, "second")
        with pytest.raises(QuotaExhausted, match="WORKSPACES_PER_PERSON"):
            await installation.workspace(ada, "third")
        for number in range(3):
            fields = {"own": "owner", "workspace": "second", "role": "viewer", "email": f"p{number}@acme.example"}
            await ada.ask("CreateInvitation", **fields)
        with pytest.raises(RateLimited) as refusal:
            await ada.ask("CreateInvitation", **{**fields, "email": "p9@acme.example"})
        assert refusal.value.retry_after is not None
        assert 3000 < refusal.value.retry_after <= 3600
