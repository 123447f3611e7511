"""auth's own doors: people and managers call it by the credentials that it decides on itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from integration.auth.token_kit import House, Somebody, house_over, somebody, until

from pyairtable_platform.auth import local
from pyairtable_platform.auth.revocations import session_ended
from pyairtable_platform.common.errors import Denied, Unauthenticated
from pyairtable_protos.auth.v1 import account_service_pb2, account_service_pb2_grpc

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(module_database_url: str) -> AsyncIterator[House]:
    async with house_over(module_database_url, admin_emails="root@example.com") as running:
        yield running


async def signed_out(person: Somebody, replica: int) -> bool:
    try:
        await person.call("GetMe", replica)
    except Unauthenticated:
        return True
    return False


async def test_who_logs_out_is_refused_by_every_replica(house: House) -> None:
    """Both remember the answer: the revocation takes it from them."""
    person, _ = await somebody(house, "editor")
    for replica in range(2):
        assert (await person.call("GetMe", replica)).account.user_id == person.user_id
    await person.call("LogoutEverywhere")
    for replica in range(2):
        await until(signed_out, person, replica)


async def test_a_session_that_ends_takes_remembered_answers_with_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although its row still says that it is open, and the answer would be kept for longer than this test waits."""
    monkeypatch.setattr(local, "ANSWER_SECONDS", 600.0)
    user_id = await house.person()
    login_id, token = await house.login(user_id)
    person = Somebody(house, user_id, token)
    for replica in range(2):
        await person.call("GetMe", replica)
    async with house.engine.begin() as connection:
        await session_ended(connection, f"login:{login_id}")
    for replica in range(2):
        await until(signed_out, person, replica)


async def test_managers_make_keys_up_to_their_own_role(house: House) -> None:
    admin, workspace = await somebody(house, "admin")
    made = await admin.auth_call("CreateAccessKey", workspace=workspace, role="admin")
    assert (await house.authorize(made.key)).role == "admin"
    with pytest.raises(Denied, match="your own role is admin"):
        await admin.auth_call("CreateAccessKey", 1, workspace=workspace, role="owner")
    above = await house.call("CreateAccessKey", workspace=workspace, role="owner")
    with pytest.raises(Denied, match="your own role is admin"):
        await admin.auth_call("RotateAccessKey", workspace=workspace, key_id=above.access_key.key_id)
    listed = await admin.auth_call("ListAccessKeys", 1, workspace=workspace)
    assert {key.role for key in listed.access_keys} == {"admin", "owner"}
    rotated = await admin.auth_call("RotateAccessKey", workspace=workspace, key_id=made.access_key.key_id)
    ended = await admin.auth_call("RevokeAccessKey", workspace=workspace, key_id=rotated.access_key.key_id)
    assert ended.access_key.HasField("revoked_at")


@pytest.mark.parametrize("role", ["editor", "viewer"])
async def test_who_does_not_manage_makes_no_keys(house: House, role: str) -> None:
    person, workspace = await somebody(house, role)
    for method in ("CreateAccessKey", "ListAccessKeys"):
        with pytest.raises(Denied, match="manage"):
            await person.auth_call(method, workspace=workspace)


async def test_keys_of_other_workspaces_are_not_there(house: House) -> None:
    owner, _ = await somebody(house, "owner")
    _, elsewhere = await somebody(house, "owner")
    for method in ("CreateAccessKey", "ListAccessKeys"):
        with pytest.raises(Denied, match="no member"):
            await owner.auth_call(method, workspace=elsewhere)


async def test_only_administrators_rotate_signing_keys(house: House) -> None:
    person, _ = await somebody(house, "owner")
    with pytest.raises(Denied, match="administrators"):
        await person.auth_call("RotateSigningKey")
    root = await house.person("root@example.com")
    _, token = await house.login(root)
    assert (await Somebody(house, root, token).auth_call("RotateSigningKey")).key.kid


async def test_a_token_is_validated_for_everybody(house: House) -> None:
    person, workspace = await somebody(house, "viewer")
    key = (await person.call("CreateApiKey", workspace=workspace)).key
    identity = (await house.authorize(key)).identity_token
    expected = {person.token: ("", []), key: ("viewer", ["read"]), identity: ("viewer", ["read"])}
    for token, (role, scope) in expected.items():
        found = await person.call("ValidateToken", 1, token=token)
        assert found.principal == f"user:{person.user_id}"
        assert (found.role, list(found.scope)) == (role, scope)
        assert found.HasField("expires_at") == (token != key)
    await person.call("RevokeApiKey", key_id=key.split("_")[1])
    texts = set()
    for token in (key, identity, "nonsense", "a.b.c", f"pyu_{'a' * 12}_{'b' * 43}"):
        with pytest.raises(Unauthenticated) as refusal:
            await person.call("ValidateToken", token=token)
        texts.add(refusal.value.message)
    assert len(texts) == 1, "nobody is told why"


async def test_who_does_not_want_letters_of_invitation_gets_none(house: House) -> None:
    values = {"workspace": "acme", "display_name": "Acme", "role": "viewer", "invited_by": "Ada", "token": "pyi_x"}
    unwilling, willing = await house.person("no@example.com"), await house.person("yes@example.com")
    house.users.preferred[unwilling] = ""  # without a word about letters, which is "no" on the wire
    replica = house.replicas[0]
    stub = account_service_pb2_grpc.AccountServiceStub(replica.channel)
    for email in ("NO@example.com", "yes@example.com", "stranger@example.com"):
        request = account_service_pb2.SendLetterRequest(
            email=email, template="invitation", values=values, idempotency_key=email
        )
        await replica.call(stub.SendLetter, request)
    rows = await house.rows("SELECT key FROM letters WHERE template = 'invitation' ORDER BY key")
    assert [row.key for row in rows] == ["stranger@example.com", "yes@example.com"]
    assert set(house.users.asked) == {unwilling, willing}
