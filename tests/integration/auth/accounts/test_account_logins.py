"""Logging in, refreshing and logging out, over two replicas and restarts."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import jwt
import pytest
from argon2.profiles import CHEAPEST
from integration.auth.accounts.desks import HOME, PASSWORD, STRANGER, Replica, outcomes, replica_over

from pyairtable_platform.auth.accounts.access_tokens import AUDIENCE
from pyairtable_platform.auth.accounts.signing_in import Tokens
from pyairtable_platform.common.errors import NotFound, RateLimited, Reason, Unauthenticated

LATER = "UPDATE logins SET rotated_at = rotated_at - interval '11 seconds'"


async def ended(replica: Replica) -> set[str]:
    """The sessions that every service was told are over."""
    return {row.session for row in await replica.rows("SELECT session FROM revocations WHERE counts")}


async def refused(replica: Replica, token: str) -> None:
    with pytest.raises(Unauthenticated, match="log in again"):
        await replica.signing_in.refresh(token, HOME)


async def test_a_login_gives_tokens_of_its_own(auth: Replica) -> None:
    ada = await auth.person()
    tokens = await auth.login(ada.email.upper())
    claims = jwt.decode(tokens.access_token, options={"verify_signature": False})
    header = jwt.get_unverified_header(tokens.access_token)
    assert (claims["sub"], claims["sid"]) == (f"user:{ada.user_id}", f"login:{tokens.login_id}")
    assert (claims["aud"], header["typ"], header["alg"]) == (AUDIENCE, "at+jwt", "EdDSA")
    assert claims["exp"] - claims["iat"] == 900
    assert 890 <= tokens.expires_in <= 900
    assert tokens.access_token not in repr(tokens)
    assert tokens.refresh_token not in repr(tokens)
    again = await auth.login(ada.user_name.upper())
    assert again.login_id != tokens.login_id


async def test_of_a_hundred_refreshes_at_once_one_rotates(auth: Replica, other: Replica) -> None:
    ada = await auth.person()
    tokens = await auth.login(ada.email)
    both = itertools.cycle((auth.signing_in, other.signing_in))
    pairs, errors = await outcomes([next(both).refresh(tokens.refresh_token, HOME) for _ in range(100)])
    assert not errors
    assert len({(pair.access_token, pair.refresh_token) for pair in pairs}) == 1
    (row,) = await auth.rows("SELECT generation FROM logins")
    assert row.generation == 2
    (spent,) = await auth.rows("SELECT count(*) AS many FROM spent_refresh_tokens")
    assert spent.many == 1
    assert await ended(auth) == set()


async def test_a_pair_that_was_lost_on_its_way_is_given_again_for_ten_seconds(auth: Replica, other: Replica) -> None:
    ada = await auth.person()
    first = await auth.login(ada.email)
    second = await auth.signing_in.refresh(first.refresh_token, HOME)
    again = await other.signing_in.refresh(first.refresh_token, HOME)
    assert (again.access_token, again.refresh_token) == (second.access_token, second.refresh_token)
    third = await other.signing_in.refresh(again.refresh_token, HOME)
    assert third.refresh_token != second.refresh_token


async def test_a_spent_token_ends_the_family(auth: Replica, other: Replica) -> None:
    ada = await auth.person()
    first = await auth.login(ada.email)
    stays = await auth.login(ada.email)
    second = await auth.signing_in.refresh(first.refresh_token, HOME)
    await auth.rows(LATER)
    await refused(other, first.refresh_token)
    await refused(auth, second.refresh_token)
    assert await ended(auth) == {f"login:{first.login_id}"}
    await auth.signing_in.refresh(stays.refresh_token, HOME)
    reasons = await auth.rows("SELECT reason FROM audit WHERE action = 'refresh' AND outcome = 'refused'")
    assert "stolen" in reasons[0].reason


async def test_only_the_token_right_before_has_grace(auth: Replica) -> None:
    """django-oauth-toolkit #1617: a grace that let tokens of generations ago pass."""
    ada = await auth.person()
    first = await auth.login(ada.email)
    second = await auth.signing_in.refresh(first.refresh_token, HOME)
    third = await auth.signing_in.refresh(second.refresh_token, HOME)
    await refused(auth, first.refresh_token)
    await refused(auth, third.refresh_token)


async def test_reuse_is_noticed_after_a_restart(database_url: str) -> None:
    """CVE-2026-9802: what was spent before a restart counted again."""
    async with replica_over(database_url) as before:
        ada = await before.person()
        first = await before.login(ada.email)
        second = await before.signing_in.refresh(first.refresh_token, HOME)
        await before.rows(LATER)
    async with replica_over(database_url) as after:
        await refused(after, first.refresh_token)
        await refused(after, second.refresh_token)
        assert await ended(after) == {f"login:{first.login_id}"}


async def test_who_knows_the_id_of_a_login_cannot_end_it(auth: Replica) -> None:
    ada = await auth.person()
    tokens = await auth.login(ada.email)
    made_up = f"pyr_{tokens.login_id}_{'A' * 43}"
    await refused(auth, made_up)
    await auth.signing_in.logout(made_up, STRANGER)
    await auth.signing_in.refresh(tokens.refresh_token, HOME)


@pytest.mark.parametrize("text", ["", "pyr_", "pyr__", "pyr_x_y", "pyr_\u00e4_" + "A" * 43, "x" * 200, "pyr_a\x00b_c"])
async def test_what_is_no_refresh_token_is_refused(auth: Replica, text: str) -> None:
    await refused(auth, text)
    await auth.signing_in.logout(text, HOME)


async def test_a_login_ends_when_it_is_idle_and_at_last(auth: Replica) -> None:
    ada = await auth.person()
    tokens = await auth.login(ada.email)
    (row,) = await auth.rows(
        "SELECT extract(days FROM expires_at - created_at) AS idle, extract(days FROM ends_at - created_at) AS last "
        "FROM logins"
    )
    assert (row.idle, row.last) in {(30, 90), (29, 89)}
    await auth.rows("UPDATE logins SET ends_at = clock_timestamp() + interval '1 minute'")
    pair = await auth.signing_in.refresh(tokens.refresh_token, HOME)
    (row,) = await auth.rows("SELECT expires_at = ends_at AS is_last FROM logins")
    assert row.is_last
    await auth.rows("UPDATE logins SET expires_at = clock_timestamp() - interval '1 second'")
    await refused(auth, pair.refresh_token)
    assert await auth.signing_in.list(ada.user_id) == []


async def test_refresh_against_logout_leaves_nothing_open(auth: Replica, other: Replica) -> None:
    """Keycloak #51312: a refresh that came together with a revocation survived it."""
    ada = await auth.person()
    for _ in range(10):
        tokens = await auth.login(ada.email)
        calls = [
            auth.signing_in.refresh(tokens.refresh_token, HOME),
            other.signing_in.logout_everywhere(ada.user_id, HOME),
        ]
        pairs, _ = await outcomes(calls)
        for pair in pairs:
            if isinstance(pair, Tokens):
                await refused(other, pair.refresh_token)
        assert await auth.signing_in.list(ada.user_id) == []


async def test_logins_are_listed_and_ended_by_their_person(auth: Replica, other: Replica) -> None:
    ada, eve = await auth.person(), await auth.person()
    first = await auth.login(ada.email, device="web chat", address="192.0.2.9")
    second = await auth.login(ada.email)
    assert [login.login_id for login in await other.signing_in.list(ada.user_id)] == [second.login_id, first.login_id]
    assert (await auth.signing_in.list(ada.user_id))[1].device == "web chat"
    with pytest.raises(NotFound) as error:
        await auth.signing_in.end(eve.user_id, first.login_id, HOME)
    assert error.value.reason is Reason.LOGIN_NOT_FOUND
    await auth.signing_in.end(ada.user_id, first.login_id, HOME)
    await refused(other, first.refresh_token)
    with pytest.raises(NotFound):
        await auth.signing_in.end(ada.user_id, first.login_id, HOME)
    assert (await other.signing_in.logout_everywhere(ada.user_id, HOME)).logins == 1
    await refused(auth, second.refresh_token)
    assert await ended(auth) == {f"login:{first.login_id}", f"login:{second.login_id}"}


async def test_logout_takes_any_refresh_token_of_the_login(auth: Replica) -> None:
    ada = await auth.person()
    first = await auth.login(ada.email)
    second = await auth.signing_in.refresh(first.refresh_token, HOME)
    await auth.signing_in.logout(first.refresh_token, HOME)
    await refused(auth, second.refresh_token)
    await auth.signing_in.logout(second.refresh_token, HOME)
    assert await ended(auth) == {f"login:{first.login_id}"}


async def test_every_failed_login_reads_the_same(auth: Replica) -> None:
    ada, off = await auth.person(), await auth.person()
    await auth.administration.set_state(off.user_id, False, "", b"")
    await auth.registration.register("new@acme.example", "new-one", PASSWORD, "", HOME)
    said = set()
    for login, password in [
        ("nobody@acme.example", PASSWORD),
        ("no-such-name", PASSWORD),
        (ada.email, "wrong password"),
        (off.email, PASSWORD),
        ("new@acme.example", PASSWORD),
        ("\x00 \ud800".encode("utf-8", "ignore").decode(), PASSWORD),
    ]:
        with pytest.raises(Unauthenticated) as error:
            await auth.login(login, password)
        said.add((error.value.message, error.value.reason, str(error.value.metadata)))
    assert len(said) == 1
    reasons = {row.reason for row in await auth.rows("SELECT reason FROM audit WHERE action = 'login'")}
    assert {"no such account", "wrong password", "the account is disabled", "the account is unverified"} <= reasons


async def test_a_disabled_account_cannot_refresh_and_its_login_is_over(auth: Replica, other: Replica) -> None:
    """CVE-2023-22492: who was locked could refresh still."""
    ada = await auth.person()
    tokens = await auth.login(ada.email)
    await other.administration.set_state(ada.user_id, False, "saga:1", b"off")
    await refused(auth, tokens.refresh_token)
    assert await ended(auth) == {f"login:{tokens.login_id}"}
    await other.administration.set_state(ada.user_id, True, "", b"")
    await refused(auth, tokens.refresh_token)
    await auth.login(ada.email)


@asynccontextmanager
async def while_a_password_is_compared(replica: Replica, login: str) -> AsyncIterator[asyncio.Task[Tokens]]:
    """A login that has read its account and waits for a free hand: for what happens in the block."""
    released = threading.Event()
    hands = [asyncio.create_task(replica.desk.passwords._run(released.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    attempt = asyncio.create_task(replica.login(login))
    try:
        async with asyncio.timeout(30):
            while replica.desk.passwords._entered < 3:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        yield attempt
    finally:
        released.set()
        await asyncio.gather(*hands)


async def test_an_account_that_is_disabled_while_it_logs_in_stays_closed(auth: Replica, other: Replica) -> None:
    ada = await auth.person()
    async with while_a_password_is_compared(auth, ada.email) as attempt:
        await other.administration.set_state(ada.user_id, False, "", b"")
    with pytest.raises(Unauthenticated):
        await attempt
    assert await auth.rows("TABLE logins") == []


async def test_a_password_that_is_replaced_while_it_is_compared_opens_nothing(auth: Replica, other: Replica) -> None:
    ada = await auth.person()
    await auth.passwords.request_reset(ada.email, HOME)
    token = await auth.token_for(ada.email, "pyp")
    async with while_a_password_is_compared(auth, ada.email) as attempt:
        await other.passwords.reset(token, "eight green teapots", HOME)
    with pytest.raises(Unauthenticated):
        await attempt
    assert await auth.rows("TABLE logins") == []


async def test_a_password_is_kept_by_new_parameters_at_the_next_login(auth: Replica, database_url: str) -> None:
    ada = await auth.person()
    stronger = replace(CHEAPEST, time_cost=2, memory_cost=16)
    async with replica_over(database_url, parameters=stronger) as newer:
        await newer.login(ada.email)
        (row,) = await newer.rows("SELECT password_hash FROM accounts WHERE user_id = :id", id=ada.user_id)
        assert "m=16,t=2" in row.password_hash
        await newer.login(ada.email)
    await auth.login(ada.email)


async def test_who_finds_no_free_hand_is_told_to_come_back_and_not_counted(database_url: str) -> None:
    async with replica_over(database_url, at_once=1, waiting=0) as busy:
        ada = await busy.person()
        await busy.rows("DELETE FROM attempts")
        released = threading.Event()
        at_work = asyncio.create_task(busy.desk.passwords._run(released.wait))
        await asyncio.sleep(0)
        with pytest.raises(RateLimited) as error:
            await busy.login(ada.email)
        assert error.value.retry_after
        released.set()
        await at_work
        for _ in range(10):
            with pytest.raises(Unauthenticated):
                await busy.login(ada.email, "wrong password")
