"""Finding, disabling, restoring and erasing accounts, and the audit of it all."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from integration.auth.accounts.desks import HOME, PASSWORD, Replica, fresh_address, replica_over

from pyairtable_platform.auth.accounts import audit, store
from pyairtable_platform.auth.accounts.audit import Decision
from pyairtable_platform.auth.accounts.housekeeping import Housekeeping
from pyairtable_platform.auth.accounts.records import State
from pyairtable_platform.auth.api_key_store import ApiKey, ApiKeyStore, LoginOver, keys_stop
from pyairtable_platform.common.errors import FailedPrecondition, InvalidInput, NotFound, Reason, Unauthenticated


async def test_accounts_are_found_by_id_and_by_address_in_any_case(auth: Replica) -> None:
    ada, eve = await auth.person("ada@acme.example"), await auth.person("eve@m\u00fcnchen.example")
    found = await auth.administration.lookup(
        [ada.user_id, "nobody"], ["ADA@acme.example", "EVE@xn--mnchen-3ya.example", "no address", "x@acme.example"]
    )
    assert {account.user_id for account in found} == {ada.user_id, eve.user_id}
    assert await auth.administration.lookup([], []) == []
    assert "argon2" not in repr(found)


async def test_administrators_are_those_who_proved_an_address_of_the_settings(database_url: str) -> None:
    async with replica_over(database_url, admins=["root@acme.example"]) as auth:
        ada = await auth.person()
        await auth.registration.register("ROOT@acme.example", "", PASSWORD, "", HOME)
        (root,) = await auth.administration.lookup([], ["root@acme.example"])
        assert not auth.administration.is_admin(root)
        root = await auth.registration.verify(await auth.token_for("ROOT@acme.example"), HOME)
        assert auth.administration.is_admin(root)
        assert not auth.administration.is_admin(await auth.administration.find(ada.user_id))
        off = await auth.administration.set_state(root.user_id, False, "", b"")
        assert not auth.administration.is_admin(off)


async def test_disabling_is_told_once_however_often_it_is_asked(auth: Replica, other: Replica) -> None:
    ada = await auth.person()
    calls = [replica.administration.set_state(ada.user_id, False, "saga:1", b"off") for replica in (auth, other) * 4]
    assert {account.state for account in await asyncio.gather(*calls)} == {State.DISABLED}
    await auth.administration.set_state(ada.user_id, False, "saga:2", b"off")
    restored = await auth.administration.set_state(ada.user_id, True, "", b"")
    assert restored.state is State.ACTIVE
    types = [row.type for row in await auth.rows("SELECT type FROM outbox ORDER BY id")]
    assert types == ["user.registered.v1", "user.verified.v1", "user.disabled.v1", "user.restored.v1"]
    with pytest.raises(FailedPrecondition) as error:
        await auth.administration.set_state(ada.user_id, True, "saga:1", b"on")
    assert error.value.reason is Reason.IDEMPOTENCY_KEY_REUSED
    with pytest.raises(NotFound) as unknown:
        await auth.administration.set_state("nobody", False, "saga:3", b"off")
    assert unknown.value.reason is Reason.ACCOUNT_NOT_FOUND


async def test_restoring_does_not_prove_an_address(auth: Replica) -> None:
    await auth.registration.register("new@acme.example", "", PASSWORD, "", HOME)
    token = await auth.token_for("new@acme.example")
    (account,) = await auth.administration.lookup([], ["new@acme.example"])
    await auth.administration.set_state(account.user_id, False, "", b"")
    restored = await auth.administration.set_state(account.user_id, True, "", b"")
    assert restored.state is State.UNVERIFIED
    with pytest.raises(InvalidInput):
        await auth.registration.verify(token, HOME)
    await auth.registration.resend("new@acme.example", HOME)
    verified = await auth.registration.verify(await auth.token_for("new@acme.example"), HOME)
    assert verified.state is State.ACTIVE


async def test_api_keys_stop_and_go_on_with_their_person(auth: Replica) -> None:
    ada = await auth.person()
    await auth.rows(
        "INSERT INTO api_keys (key_id, user_id, workspace, workspace_uid, name, role, sha256, created_at) "
        "VALUES ('k1', :user_id, 'acme', '', '', 'editor', '', now())",
        user_id=ada.user_id,
    )
    await auth.rows(
        "INSERT INTO access_keys (key_id, workspace, workspace_uid, name, role, is_declared, sha256, made_by) "
        "VALUES ('a1', 'acme', '', 'reports', 'editor', false, '', :maker)",
        maker=f"user:{ada.user_id}",
    )
    await auth.administration.set_state(ada.user_id, False, "", b"")
    assert [tuple(row) for row in await auth.rows("SELECT session, counts FROM revocations")] == [("api-key:k1", True)]
    told = "SELECT subject, workspace FROM outbox WHERE type = 'access_key.outlives_maker.v1'"
    assert [tuple(row) for row in await auth.rows(told)] == [("a1", "acme")]
    await auth.administration.set_state(ada.user_id, True, "", b"")
    assert [tuple(row) for row in await auth.rows("SELECT session, counts FROM revocations")] == [("api-key:k1", False)]
    await auth.personal_data.erase(ada.user_id, "saga:1", b"")
    assert await auth.rows("TABLE api_keys") == []
    assert [row.made_by for row in await auth.rows("SELECT made_by FROM access_keys")] == ["user:erased"]


def new_api_key(user_id: str) -> ApiKey:
    return ApiKey("k1", user_id, "acme", "", "", "editor", b"", datetime.now(UTC))


async def test_no_key_is_made_beside_the_end_of_its_account(auth: Replica, other: Replica) -> None:
    """A key that was kept after its person's keys stopped, and before that is committed, would go on working."""
    ada = await auth.person()
    login = await auth.login(ada.email)
    async with auth.desk.transaction() as connection:
        account = await store.lock(connection, ada.user_id)
        assert account is not None
        await keys_stop(connection, ada.user_id)
        making = asyncio.create_task(ApiKeyStore(other.desk.engine).insert(new_api_key(ada.user_id), login.login_id, 9))
        while not making.done() and not await auth.rows("SELECT 1 FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await store.update(connection, replace(account, state=State.DISABLED))
    with pytest.raises(LoginOver):
        await making
    assert await auth.rows("TABLE api_keys") == []


async def test_no_key_is_made_by_a_login_that_has_ended(auth: Replica, other: Replica) -> None:
    ada = await auth.person()
    login = await auth.login(ada.email)
    await other.signing_in.logout_everywhere(ada.user_id, HOME)
    with pytest.raises(LoginOver):
        await ApiKeyStore(auth.desk.engine).insert(new_api_key(ada.user_id), login.login_id, 9)


async def test_decisions_are_listed_newest_first_each_to_its_person(auth: Replica, other: Replica) -> None:
    ada, eve = await auth.person(), await auth.person()
    tokens = await auth.login(ada.email, address=HOME)
    with pytest.raises(Unauthenticated):
        await auth.login(ada.email, "wrong password", "198.51.100.9")
    await other.login(eve.email)
    events, _ = await audit.page(other.desk.engine, user_id=ada.user_id)
    assert [(event.action, event.outcome) for event in events] == [
        ("login", "refused"),
        ("login", "allowed"),
        ("verify_email", "allowed"),
        ("register", "allowed"),
    ]
    assert (events[0].reason, events[0].address) == ("wrong password", "198.51.100.9")
    assert events[1].details == {"login_id": tokens.login_id, "device": "test"}
    everybody, _ = await audit.page(other.desk.engine, action="login")
    assert {event.user_id for event in everybody} == {ada.user_id, eve.user_id}


async def test_pages_of_decisions_hold_each_once(auth: Replica) -> None:
    for number in range(7):
        await audit.note(auth.desk.engine, Decision("probe", workspace="acme", details={"number": number}))
    seen, token = [], ""
    while True:
        events, token = await audit.page(auth.desk.engine, action="probe", size=3, token=token)
        seen += [event.details["number"] for event in events]
        if not token:
            break
    assert seen == [6, 5, 4, 3, 2, 1, 0]
    for bad in ("%%", "LTE=", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk=", "\u00e4"):
        with pytest.raises(InvalidInput) as error:
            await audit.page(auth.desk.engine, token=bad)
        assert error.value.reason is Reason.PAGE_TOKEN_INVALID


async def test_an_export_holds_what_is_known_and_no_secret(auth: Replica) -> None:
    ada = await auth.person("ada@acme.example")
    tokens = await auth.login(ada.email, device="web chat")
    data = await auth.personal_data.export(ada.user_id)
    assert data["account"]["email"] == "ada@acme.example"
    assert data["logins"][0]["device"] == "web chat"
    assert data["known_addresses"][0]["address"] == HOME
    assert {"verify"} == {letter["template"] for letter in data["letters"]}
    assert data["audit"]
    text = json.dumps(data)
    for secret in ("argon2", tokens.refresh_token, PASSWORD):
        assert secret not in text
    assert await auth.personal_data.export("nobody") == {}


async def test_an_erased_person_is_gone_and_the_address_is_free(auth: Replica, other: Replica) -> None:
    ada = await auth.person("ada@acme.example", "countess")
    tokens = await auth.login(ada.email)
    assert await auth.personal_data.would_erase(ada.user_id) == {"accounts": 1, "logins": 1}
    first = await auth.personal_data.erase(ada.user_id, "saga:5", b"")
    assert (first["accounts"], first["logins"]) == (1, 1)
    assert await other.personal_data.erase(ada.user_id, "saga:5", b"") == first
    assert await other.personal_data.erase(ada.user_id, "saga:6", b"") == {}
    assert await auth.personal_data.would_erase(ada.user_id) == {}
    assert await auth.personal_data.erase("nobody", "saga:7", b"") == {}
    with pytest.raises(Unauthenticated):
        await auth.signing_in.refresh(tokens.refresh_token, HOME)
    with pytest.raises(Unauthenticated):
        await auth.login("ada@acme.example")
    for call in (auth.administration.find(ada.user_id), auth.administration.set_state(ada.user_id, True, "", b"")):
        with pytest.raises(NotFound):
            await call
    sessions = [row.session for row in await auth.rows("SELECT session FROM revocations")]
    assert sessions == [f"login:{tokens.login_id}"]
    for table in ("accounts", "logins", "audit", "letters", "known_addresses", "effects", "outbox"):
        rows = await auth.rows(f"SELECT to_jsonb(t) AS row FROM {table} t")  # noqa: S608
        text = json.dumps([row.row for row in rows])
        assert "ada@acme" not in text
        assert "countess" not in text
    audited = await auth.rows("SELECT 1 FROM audit WHERE user_id = :user_id", user_id=ada.user_id)
    assert audited == []
    again = await auth.person("ada@acme.example", "countess")
    assert again.user_id != ada.user_id
    assert again.user_name == "countess"


async def test_an_event_of_an_erasure_holds_the_id_only(auth: Replica) -> None:
    ada = await auth.person()
    await auth.personal_data.erase(ada.user_id, "saga:1", b"")
    (event,) = await auth.rows("SELECT data FROM outbox WHERE type = 'user.erased.v1'")
    assert event.data == {"user_id": ada.user_id}


async def test_accounts_that_nobody_proved_are_deleted_after_a_month(auth: Replica, other: Replica) -> None:
    proved = await auth.person()
    for name in ("waiting", "asked-again", "young"):
        await auth.registration.register(f"{name}@acme.example", name, PASSWORD, "", fresh_address())
    old = "UPDATE accounts SET created_at = created_at - interval '31 days' WHERE user_name <> 'young'"
    await auth.rows(old)
    late = "UPDATE letter_tokens SET expires_at = expires_at - interval '2 days' FROM accounts"
    await auth.rows(f"{late} WHERE accounts.user_id = letter_tokens.user_id AND user_name <> 'asked-again'")
    keepers = [Housekeeping(replica.desk.engine, timedelta(days=30)) for replica in (auth, other)]
    await asyncio.gather(*(keeper.clean() for keeper in keepers))
    left = {row.user_name for row in await auth.rows("SELECT user_name FROM accounts")}
    assert left == {proved.user_name, "asked-again", "young"}, "a letter that can be answered keeps its account"
    assert len(await auth.rows("SELECT 1 FROM outbox WHERE type = 'user.erased.v1'")) == 1
    assert not await auth.rows(
        "SELECT 1 FROM audit WHERE user_id <> '' AND user_id NOT IN (SELECT user_id FROM accounts)"
    )
    await auth.registration.register("waiting@acme.example", "waiting", PASSWORD, "", fresh_address())
    await auth.registration.verify(await auth.token_for("waiting@acme.example"), fresh_address())


async def test_old_things_are_deleted_and_young_ones_kept(auth: Replica) -> None:
    ada = await auth.person()
    old = await auth.login(ada.email)
    await auth.signing_in.refresh(old.refresh_token, HOME)
    await auth.signing_in.logout(old.refresh_token, HOME)
    young = await auth.login(ada.email)
    await audit.note(auth.desk.engine, Decision("probe", workspace="acme"))
    housekeeping = Housekeeping(auth.desk.engine, timedelta(days=30))
    await housekeeping.clean()
    assert len(await auth.rows("TABLE logins")) == 2
    await auth.rows("UPDATE logins SET ended_at = ended_at - interval '8 days' WHERE ended_at IS NOT NULL")
    await auth.rows("UPDATE audit SET occurred_at = occurred_at - interval '31 days' WHERE action = 'probe'")
    await auth.rows("UPDATE attempts SET full_at = full_at - interval '3 days'")
    await auth.rows("UPDATE known_addresses SET used_at = used_at - interval '181 days'")
    await auth.rows("UPDATE letter_tokens SET expires_at = expires_at - interval '3 days'")
    await auth.rows("UPDATE letters SET created_at = created_at - interval '91 days'")
    await housekeeping.clean()
    assert [row.login_id for row in await auth.rows("SELECT login_id FROM logins")] == [young.login_id]
    for table in ("attempts", "known_addresses", "letter_tokens", "letters", "spent_refresh_tokens"):
        assert await auth.rows(f"TABLE {table}") == [], table
    actions = {row.action for row in await auth.rows("SELECT action FROM audit")}
    assert "probe" not in actions
    assert "login" in actions
    await auth.login(ada.email, address=fresh_address())
