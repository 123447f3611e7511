"""API keys of people, made and ended over two replicas as their owners do it."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import pytest_asyncio
from integration.auth.token_kit import House, Somebody, house_over, refused, somebody, until

from pyairtable_platform.auth.accounts.sealing import sha256
from pyairtable_platform.auth.api_key_store import keys_go_on, keys_stop
from pyairtable_platform.auth.api_keys import MOST_KEYS
from pyairtable_platform.auth.departures import Departures
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.errors import (
    Denied,
    FailedPrecondition,
    InvalidInput,
    NotFound,
    PyAirtableError,
    Reason,
    Unauthenticated,
)
from pyairtable_platform.common.event import Event
from pyairtable_platform.common.values import to_timestamp
from pyairtable_protos.auth.v1 import (
    auth_service_pb2,
    auth_service_pb2_grpc,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(module_database_url: str) -> AsyncIterator[House]:
    async with house_over(module_database_url) as running:
        yield running


async def test_a_key_is_its_person_with_the_lesser_role(house: House) -> None:
    person, workspace = await somebody(house, "editor")
    key = await person.key(workspace, name="curl", role="viewer")
    own = await person.key(workspace)
    assert key.key.startswith("pyu_")
    assert (key.api_key.role, own.api_key.role) == ("viewer", "editor")
    answer = await house.authorize(key.key, replica=1)
    assert (answer.principal, answer.workspace, answer.role) == (f"user:{person.user_id}", workspace, "viewer")
    revision = house.registry.declare(workspace, members={person.user_id: "viewer"})
    await until(role_is, house, own.key, "viewer")
    house.registry.declare(workspace, members={person.user_id: "owner"})
    await until(role_is, house, own.key, "editor")
    assert revision


async def role_is(house: House, key: str, role: str) -> bool:
    return bool((await house.authorize(key)).role == role)


async def test_nobody_makes_a_key_above_their_own_role(house: House) -> None:
    person, workspace = await somebody(house, "editor")
    for role in ("admin", "owner"):
        with pytest.raises(Denied, match="your own role"):
            await person.key(workspace, role=role)
    foreign, elsewhere = await somebody(house, "owner")
    answers = []
    for name in (elsewhere, "no-such"):
        with pytest.raises(Denied) as refusal:
            await person.key(name)
        answers.append(refusal.value.message.replace(name, "NAME"))
    assert answers[0] == answers[1]
    assert foreign.user_id != person.user_id


async def test_a_key_makes_no_keys(house: House) -> None:
    person, workspace = await somebody(house, "owner")
    key = await person.key(workspace)
    for method, fields in (("CreateApiKey", {"workspace": workspace}), ("ListApiKeys", {}), ("GetMe", {})):
        with pytest.raises(Denied):
            await person.call(method, credential=key.key, **fields)


async def test_a_key_dies_with_the_membership_and_the_account(house: House) -> None:
    person, workspace = await somebody(house, "editor")
    key = (await person.key(workspace)).key
    identity = (await house.authorize(key)).identity_token
    house.registry.declare(workspace)
    for credential in (key, identity):
        await until(refused, house, credential)
    house.registry.declare(workspace, members={person.user_id: "viewer"})
    await until(role_now, house, key)
    await house.rows("UPDATE accounts SET state = 'disabled' WHERE user_id = :id", id=person.user_id)
    assert await refused(house, key)
    assert await refused(house, identity)


async def role_now(house: House, key: str) -> bool:
    return not await refused(house, key)


async def test_a_key_does_not_open_the_successor_of_its_workspace(house: House) -> None:
    person, workspace = await somebody(house, "editor")
    key = (await person.key(workspace)).key
    house.registry.declare(workspace, uid="uid-2", members={person.user_id: "owner"})
    await until(refused, house, key)
    assert (await house.authorize(person.token, workspace)).role == "owner"


async def test_keys_expire(house: House) -> None:
    person, workspace = await somebody(house, "editor")
    with pytest.raises(InvalidInput):
        await person.key(workspace, expires_at=to_timestamp(datetime.now(UTC) - timedelta(seconds=1)))
    soon = datetime.now(UTC) + timedelta(seconds=2)
    key = (await person.key(workspace, expires_at=to_timestamp(soon))).key
    assert (await house.authorize(key)).expires_at.ToDatetime(UTC) <= soon
    await until(refused, house, key)


async def test_pages_and_prefixes_show_ones_own_keys_only(house: House) -> None:
    person, workspace = await somebody(house, "owner")
    other, elsewhere = await somebody(house, "owner")
    made = [(await person.key(workspace, name=str(number))).api_key for number in range(5)]
    foreign = (await other.key(elsewhere)).api_key
    seen, token = [], ""
    while True:
        page = await person.call("ListApiKeys", 1, page_size=2, page_token=token)
        seen += [key.key_id for key in page.api_keys]
        token = page.next_page_token
        if not token:
            break
    assert seen == [key.key_id for key in reversed(made)]
    for prefix in (made[2].key_id, made[2].key_id[:6]):
        found = await person.call("ListApiKeys", key_id_prefix=prefix)
        assert made[2].key_id in [key.key_id for key in found.api_keys]
        assert all(key.key_id.startswith(prefix) for key in found.api_keys)
    assert not (await person.call("ListApiKeys", key_id_prefix=foreign.key_id)).api_keys
    assert not (await person.call("ListApiKeys", key_id_prefix="%")).api_keys
    assert not (await person.call("ListApiKeys", workspace=elsewhere)).api_keys
    with pytest.raises(NotFound) as refusal:
        await person.call("RevokeApiKey", key_id=foreign.key_id)
    assert refusal.value.reason == Reason.API_KEY_NOT_FOUND
    with pytest.raises(InvalidInput):
        await person.call("ListApiKeys", page_token="x")


async def test_a_hundred_uses_against_revocations_end_refused(house: House) -> None:
    """While a key is used over both replicas it is revoked a few times at once; afterwards nobody gets in."""
    person, workspace = await somebody(house, "editor")
    made = await person.key(workspace)
    uses = [refused(house, made.key, number % 2) for number in range(100)]
    ends = [person.call("RevokeApiKey", number % 2, key_id=made.api_key.key_id) for number in range(10)]
    outcomes = await asyncio.gather(*uses[:50], *ends, *uses[50:])
    times = {answer.api_key.revoked_at.ToNanoseconds() for answer in outcomes[50:60]}
    assert len(times) == 1
    for replica in range(2):
        assert await refused(house, made.key, replica)
        await until(is_told, house, replica, f"api-key:{made.api_key.key_id}")


async def is_told(house: House, replica: int, session: str) -> bool:
    """Whether a replica's snapshot of revocations holds a session."""
    async for told in watch(house.replicas[replica]):
        return session in {revocation.session for revocation in told.revocations}
    return False


async def watch(channel: ServiceChannel) -> AsyncIterator[Any]:
    stub = auth_service_pb2_grpc.AuthServiceStub(channel.channel)
    async for told in channel.stream(stub.WatchRevocations, auth_service_pb2.WatchRevocationsRequest(), timeout=60):
        yield told


async def test_a_hundred_keys_made_at_once_stay_within_the_limit(house: House) -> None:
    person, workspace = await somebody(house, "editor")
    await house.rows(
        "INSERT INTO api_keys (key_id, user_id, workspace, workspace_uid, name, role, sha256, created_at) "
        "SELECT 'filler' || lpad(n::text, 6, '0'), :id, :workspace, '', '', 'viewer', '', now() "
        "FROM generate_series(1, :many) n",
        id=person.user_id,
        workspace=workspace,
        many=MOST_KEYS - 3,
    )
    calls = [person.call("CreateApiKey", number % 2, workspace=workspace) for number in range(30)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    lost = [outcome for outcome in outcomes if isinstance(outcome, PyAirtableError)]
    assert len(outcomes) - len(lost) == 3
    assert {type(error) for error in lost} == {FailedPrecondition}


async def test_the_keys_of_a_disabled_account_stop_and_go_on(house: House) -> None:
    person, workspace = await somebody(house, "editor")
    made = await person.key(workspace)
    session = f"api-key:{made.api_key.key_id}"
    async with house.engine.begin() as connection:
        await keys_stop(connection, person.user_id)
    await until(is_told, house, 1, session)
    async with house.engine.begin() as connection:
        await keys_go_on(connection, person.user_id)

    async def gone() -> bool:
        return not await is_told(house, 1, session)

    await until(gone)


async def reset_by_letter(house: House, person: Somebody, **fields: Any) -> Any:
    token = f"pyp_{uuid.uuid4().hex:a<43}"
    await house.rows(
        "INSERT INTO letter_tokens (sha256, purpose, user_id, expires_at) "
        "VALUES (:sha256, 'reset', :id, now() + interval '1 hour')",
        sha256=sha256(token),
        id=person.user_id,
    )
    return await person.call("ResetPassword", token=token, new_password="eight green teapots", **fields)


async def test_a_reset_by_letter_revokes_the_keys_of_its_person_everywhere(house: House) -> None:
    """Whoever was robbed of the account does not know which keys the thief has made."""
    person, workspace = await somebody(house, "editor")
    other, elsewhere = await somebody(house, "editor")
    keys = [(await person.key(workspace)).key for _ in range(2)]
    foreign = (await other.key(elsewhere)).key
    identity = (await house.authorize(keys[0], replica=1)).identity_token
    said = await reset_by_letter(house, person)
    assert (said.ended, said.revoked_api_keys) == (1, 2)
    for replica in range(2):
        for credential in (*keys, identity):
            assert await refused(house, credential, replica)
        for key in keys:
            await until(is_told, house, replica, f"api-key:{key.split('_')[1]}")
    assert not await refused(house, foreign)
    [row] = await house.rows(
        "SELECT details FROM audit WHERE user_id = :id AND action = 'reset_password'", id=person.user_id
    )
    assert row.details == {"ended": 1, "revoked_api_keys": 2}


async def test_a_reset_keeps_the_keys_when_its_person_says_so(house: House) -> None:
    person, workspace = await somebody(house, "editor")
    key = (await person.key(workspace)).key
    said = await reset_by_letter(house, person, revoke_api_keys=False)
    assert (said.ended, said.revoked_api_keys) == (1, 0)
    assert not await refused(house, key)


@pytest.mark.parametrize("revoke", [False, True])
async def test_logging_out_everywhere_revokes_keys_when_it_is_told_to(house: House, revoke: bool) -> None:
    person, workspace = await somebody(house, "editor")
    key = (await person.key(workspace)).key
    said = await person.call("LogoutEverywhere", revoke_api_keys=revoke)
    assert (said.ended, said.revoked_api_keys) == (1, int(revoke))
    assert await refused(house, key, 1) is revoke


def removal(person: Somebody, workspace: str, joined_at: datetime) -> Event:
    data = {"tenant": workspace, "role": "owner", "joined_at": joined_at.isoformat()}
    return Event("workspace.member_removed.v1", person.user_id, workspace, data=data)


async def test_who_comes_back_does_not_bring_old_keys(house: House) -> None:
    """At once and without a word from the registry's events, and for good once they are heard."""
    person, workspace = await somebody(house, "editor")
    before, since = datetime.now(UTC) - timedelta(days=2), datetime.now(UTC) - timedelta(days=1)
    members = {person.user_id: "editor"}
    await joined(house, person, house.registry.declare(workspace, members=members, joined_at=before))
    old = (await person.key(workspace)).key
    assert not await refused(house, old, 1)
    house.registry.declare(workspace)
    for replica in range(2):
        await until(refused, house, old, replica)
    await joined(house, person, house.registry.declare(workspace, members=members, joined_at=since))
    new = (await person.key(workspace)).key
    event = removal(person, workspace, before)
    for _ in range(2):  # at least once
        for replica in range(2):
            assert await refused(house, old, replica)
            assert not await refused(house, new, replica)
        await Departures(house.engine).handle(event)
    listed = {key.key_id: key for key in (await person.call("ListApiKeys")).api_keys}
    assert listed[old.split("_")[1]].HasField("revoked_at")
    assert not listed[new.split("_")[1]].HasField("revoked_at")


async def joined(house: House, person: Somebody, revision: int) -> None:
    """Wait until both replicas sign by a state of the registry."""

    async def is_known(replica: int) -> bool:
        try:
            token = (await house.authorize(person.token, enter=True, replica=replica)).identity_token
        except (Denied, InvalidInput):
            return False
        return bool(jwt.decode(token, options={"verify_signature": False})["rev"] >= revision)

    for replica in range(2):
        await until(is_known, replica)


async def test_access_keys_tell_their_maker_and_outlive_them(house: House) -> None:
    """The workspace's programs go on; whoever manages it is told by which keys."""
    person, workspace = await somebody(house, "owner")
    made = await person.auth_call("CreateAccessKey", workspace=workspace, name="reports", role="viewer")
    ended = await person.auth_call("CreateAccessKey", workspace=workspace)
    await person.auth_call("RevokeAccessKey", workspace=workspace, key_id=ended.access_key.key_id)
    await house.call("CreateAccessKey", workspace=workspace)
    listed = (await house.call("ListAccessKeys", workspace=workspace)).access_keys
    assert sorted(key.made_by for key in listed) == ["", *[f"user:{person.user_id}"] * 2]
    event = removal(person, workspace, datetime.now(UTC))
    for _ in range(2):
        await Departures(house.engine).handle(event)
    assert not await refused(house, made.key)
    rows = await house.rows(
        "SELECT type, subject, principal, data FROM outbox WHERE workspace = :name ORDER BY id", name=workspace
    )
    key_id, ended_id = made.access_key.key_id, ended.access_key.key_id
    assert [(row.type, row.subject, row.principal) for row in rows[:3]] == [
        ("access_key.created.v1", key_id, f"user:{person.user_id}"),
        ("access_key.created.v1", ended_id, f"user:{person.user_id}"),
        ("access_key.revoked.v1", ended_id, f"user:{person.user_id}"),
    ]
    assert [(row.type, row.subject, row.principal, row.data) for row in rows[4:]] == [
        ("access_key.outlives_maker.v1", key_id, "", {"name": "reports", "role": "viewer"})
    ]
    [kept] = await house.rows(
        "SELECT details FROM audit WHERE action = 'member_removed' AND workspace = :name", name=workspace
    )
    assert kept.details == {"revoked_api_keys": [], "access_keys": [key_id]}


async def test_no_key_is_in_the_database(house: House) -> None:
    person, workspace = await somebody(house, "editor")
    key = (await person.key(workspace)).key
    await house.authorize(key)
    for table in ("api_keys", "audit", "revocations"):
        [row] = await house.rows(f"SELECT count(*) FROM {table} t WHERE t::text LIKE :secret", secret=f"%{key[-20:]}%")  # noqa: S608
        assert row.count == 0
    [row] = await house.rows("SELECT last_used_at FROM api_keys WHERE key_id = :id", id=key.split("_")[1])
    assert row.last_used_at is not None


async def test_the_key_of_an_object_that_the_platform_refused_opens_nothing(house: House) -> None:
    """The operator makes key and Secret before it knows: a name that a call, a file or another object has is theirs."""
    for number, uid in enumerate(("uid-of-a-call", "")):  # a file has none
        person, workspace = await somebody(house, "owner")
        text = f"pya_refused{number}000_{'x' * 43}"
        declared = auth_service_pb2.DeclaredAccessKey(
            key_id=text.split("_")[1], sha256=hashlib.sha256(text.encode()).hexdigest()
        )
        await joined(house, person, house.registry.declare(workspace, uid=uid, members={person.user_id: "owner"}))
        await house.call("ApplyAccessKeys", workspace=workspace, keys=[declared], uid="uid-refused")
        with pytest.raises(Unauthenticated, match="made anew"):
            await house.authorize(text)
        members = {person.user_id: "owner"}
        await joined(house, person, house.registry.declare(workspace, uid="uid-refused", members=members))
        assert (await house.authorize(text)).workspace == workspace, "it is a key, once its object is in force"


async def test_the_key_of_an_object_whose_name_is_nobodys_yet_opens_nothing(house: House) -> None:
    """As long as a call holds the name, or when the platform refused the object and nothing has the name."""
    text = f"pya_nobodys00_{'x' * 43}"
    digest = hashlib.sha256(text.encode()).hexdigest()
    declared = auth_service_pb2.DeclaredAccessKey(key_id="nobodys00", sha256=digest)
    await house.call("ApplyAccessKeys", workspace="reserved", keys=[declared], uid="uid-refused")
    with pytest.raises(NotFound):
        await house.authorize(text)
