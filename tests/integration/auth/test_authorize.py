"""What each kind of credential is authorized for, by a running auth service."""

from __future__ import annotations

from collections.abc import AsyncIterator

import jwt
import pytest
import pytest_asyncio
from integration.auth.token_kit import House, house_over, until

from pyairtable_platform.common.errors import Denied, InvalidInput, Reason, Unauthenticated
from pyairtable_protos.workspaces.v1 import workspace_pb2

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(module_database_url: str) -> AsyncIterator[House]:
    async with house_over(module_database_url, admin_emails="Root@Example.com") as running:
        yield running


def claims(answer: object) -> dict[str, object]:
    token = answer.identity_token  # type: ignore[attr-defined]
    decoded: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return decoded


async def test_a_login_is_a_person_in_no_workspace(house: House) -> None:
    user_id = await house.person()
    login_id, token = await house.login(user_id)
    answer = await house.authorize(token)
    assert (answer.principal, answer.workspace, answer.role) == (f"user:{user_id}", "", "")
    told = claims(answer)
    assert (told["sid"], told["rev"], told["scope"]) == (f"login:{login_id}", 0, "")


async def test_an_administrator_is_one_by_a_proved_address(house: House) -> None:
    _, token = await house.login(await house.person("root@example.com"))
    assert claims(await house.authorize(token))["scope"] == "admin"
    revision = house.registry.declare("admins", members={(await house.person()): "owner"})
    await heard(house, revision)
    with pytest.raises(Denied):
        await house.authorize(token, "admins")


async def heard(house: House, revision: int) -> None:
    """Wait until both replicas know a state of the registry, as what they sign tells."""
    user_id = await house.person()
    _, token = await house.login(user_id)
    house.registry.declare(f"probe-{user_id}", members={user_id: "viewer"})

    async def known(replica: int) -> bool:
        try:
            answer = await house.authorize(token, f"probe-{user_id}", replica)
        except Denied:
            return False
        return int(str(claims(answer)["rev"])) >= revision

    for replica in range(2):
        await until(known, replica)


async def test_a_person_enters_a_workspace_with_their_role(house: House) -> None:
    user_id = await house.person()
    login_id, token = await house.login(user_id)
    revision = house.registry.declare("entered", members={user_id: "editor"})
    await heard(house, revision)
    named = await house.authorize(token, "entered")
    person = await house.authorize(token)
    by_identity = await house.authorize(person.identity_token, "entered", enter=True)
    only = await house.authorize(person.identity_token, enter=True)
    for answer in (named, by_identity, only):
        told = claims(answer)
        assert (told["sub"], told["sid"]) == (f"user:{user_id}", f"login:{login_id}")
        assert (told["workspace"], told["role"], told["scope"]) == ("entered", "editor", "read write destroy schema")
        assert int(str(told["rev"])) >= revision
    with pytest.raises(Denied):
        await house.authorize(named.identity_token, "probe")


async def test_nobody_learns_which_workspaces_there_are(house: House) -> None:
    _, token = await house.login(await house.person())
    await heard(house, house.registry.declare("secret"))
    answers = []
    for name in ("secret", "absent"):
        with pytest.raises(Denied) as refusal:
            await house.authorize(token, name)
        answers.append(refusal.value.message.replace(name, "NAME"))
    assert answers[0] == answers[1]


async def test_of_several_workspaces_the_preferred_one_is_meant(house: House) -> None:
    user_id = await house.person()
    _, token = await house.login(user_id)
    house.registry.declare("first", members={user_id: "viewer"})
    await heard(house, house.registry.declare("second", members={user_id: "owner"}))
    with pytest.raises(InvalidInput) as refusal:
        await house.authorize(token, enter=True)
    assert refusal.value.reason == Reason.WORKSPACE_REQUIRED
    assert refusal.value.metadata["workspaces"] == "first, second"
    house.users.preferred[user_id] = "second"
    assert (await house.authorize(token, enter=True)).workspace == "second"
    house.users.preferred[user_id] = "secret"
    with pytest.raises(InvalidInput):
        await house.authorize(token, enter=True)
    house.users.asked.clear()
    assert (await house.authorize(token, "first", enter=True)).role == "viewer"
    assert house.users.asked == [], "who names a workspace is not asked about"


async def test_a_member_of_no_workspace_is_told_so(house: House) -> None:
    _, token = await house.login(await house.person())
    with pytest.raises(InvalidInput, match="member of no workspace") as refusal:
        await house.authorize(token, enter=True)
    assert refusal.value.reason == Reason.WORKSPACE_REQUIRED


async def test_declared_owners_own_by_their_proved_address(house: House) -> None:
    _, token = await house.login(await house.person("ada@owners.example"))
    owners = [workspace_pb2.Owner(kind="User", name="Ada@Owners.Example")]
    await heard(house, house.registry.declare("declared", owners=owners))
    assert (await house.authorize(token, enter=True)).role == "owner"
    _, unproved = await house.login(await house.person("ada@elsewhere.example", state="unverified"))
    with pytest.raises(Unauthenticated):
        await house.authorize(unproved)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE logins SET ended_at = now() WHERE user_id = :id",
        "UPDATE logins SET expires_at = now() WHERE user_id = :id",
        "UPDATE logins SET ends_at = now() WHERE user_id = :id",
        "UPDATE accounts SET state = 'disabled' WHERE user_id = :id",
        "UPDATE accounts SET is_erased = true WHERE user_id = :id",
    ],
)
async def test_a_login_that_ended_authorizes_nothing_any_more(house: House, change: str) -> None:
    user_id = await house.person()
    _, token = await house.login(user_id)
    person = await house.authorize(token)
    await house.rows(change, id=user_id)
    for credential in (token, person.identity_token):
        for replica in range(2):
            with pytest.raises(Unauthenticated):
                await house.authorize(credential, replica=replica)


async def test_a_suspended_workspace_is_entered_by_nobody(house: House) -> None:
    user_id = await house.person()
    _, token = await house.login(user_id)
    house.registry.declare("asleep", members={user_id: "owner"})
    key = await house.call("CreateAccessKey", workspace="asleep") if await known_to(house, "asleep") else None
    await heard(house, house.registry.declare("asleep", suspended=True, members={user_id: "owner"}))
    assert key is not None
    for credential in (token, key.key):
        with pytest.raises(Denied) as refusal:
            await house.authorize(credential, "asleep")
        assert refusal.value.reason == Reason.WORKSPACE_SUSPENDED


async def known_to(house: House, name: str) -> bool:
    """Wait until both replicas know a workspace."""
    await heard(house, house.registry.workspaces[name].version)
    return True


async def test_an_access_keys_token_tells_its_session_and_state(house: House) -> None:
    revision = house.registry.declare("keyed")
    await known_to(house, "keyed")
    made = await house.call("CreateAccessKey", workspace="keyed", role="viewer")
    answer = await house.authorize(made.key)
    session = f"access-key:{made.access_key.key_id}"
    told = claims(answer)
    assert (told["sub"], told["sid"], told["role"]) == (session, session, "viewer")
    assert int(str(told["rev"])) >= revision
    with pytest.raises(Denied):
        await house.authorize(made.key, "entered")


@pytest.mark.parametrize(
    "credential",
    ["nonsense", "a.b.c", f"pya_{'a' * 12}_{'b' * 43}", f"pyu_{'a' * 12}_{'b' * 43}", "pya_", "pyu_short"],
)
async def test_what_is_no_credential_is_refused(house: House, credential: str) -> None:
    with pytest.raises(Unauthenticated):
        await house.authorize(credential)


async def test_a_service_accounts_token_needs_a_cluster(house: House) -> None:
    token = jwt.encode({"sub": "system:serviceaccount:a:b", "iss": "https://k"}, "k" * 32, "HS256")
    with pytest.raises(Unauthenticated, match="knows no Kubernetes API"):
        await house.authorize(token)


async def test_tokens_are_not_taken_for_one_another(house: House) -> None:
    """An identity token is no access token, and the other way round; nor is one that was tampered with."""
    user_id = await house.person()
    _, token = await house.login(user_id)
    identity = (await house.authorize(token)).identity_token
    signer = await house.signers.current()
    for original, kinds in ((token, ("JWT", None)), (identity, ("at+jwt", None))):
        said = jwt.decode(original, options={"verify_signature": False})
        for kind in kinds:
            forged = jwt.encode(said, signer.private_key, "EdDSA", {"kid": signer.kid, "typ": kind})
            with pytest.raises(Unauthenticated):
                await house.authorize(forged)
        head, body, seal = original.split(".")
        for tampered in (f"{head}.{body}.{seal[:-4]}AAAA", f"{head}.{body}."):
            with pytest.raises(Unauthenticated):
                await house.authorize(tampered)


async def test_another_persons_login_opens_nothing(house: House) -> None:
    """The claims sub and sid are of one login, or count for nothing."""
    user_id, other = await house.person(), await house.person()
    _, token = await house.login(user_id)
    signer = await house.signers.current()
    said = jwt.decode(token, options={"verify_signature": False}) | {"sub": f"user:{other}"}
    forged = jwt.encode(said, signer.private_key, "EdDSA", {"kid": signer.kid, "typ": "at+jwt"})
    with pytest.raises(Unauthenticated):
        await house.authorize(forged)


async def test_decisions_are_in_the_audit(house: House) -> None:
    user_id = await house.person()
    _, token = await house.login(user_id)
    for _ in range(20):
        await house.authorize(token)
    with pytest.raises(Denied):
        await house.authorize(token, "no-such")

    async def lines() -> bool:
        rows = await house.rows(
            "SELECT outcome, reason, workspace, details FROM audit WHERE user_id = :id AND action = 'authorize'",
            id=user_id,
        )
        allowed = [row.details["times"] for row in rows if row.outcome == "allowed"]
        refused = [(row.reason, row.workspace) for row in rows if row.outcome == "refused"]
        return sum(allowed) == 20 and len(allowed) < 20 and refused == [("DENIED", "no-such")]

    await until(lines)
    [found] = await house.rows("SELECT count(*) FROM audit WHERE details::text LIKE :text", text=f"%{token[:40]}%")
    assert found.count == 0
