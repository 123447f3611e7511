"""How often somebody may try, and that no stranger closes somebody else's account by it."""

from __future__ import annotations

import itertools

import pytest
from integration.auth.accounts.desks import HOME, PASSWORD, STRANGER, Replica, fresh_address, outcomes, replica_over

from pyairtable_platform.auth.accounts import limits
from pyairtable_platform.auth.accounts.administration import LetterWanted
from pyairtable_platform.common.errors import InvalidInput, RateLimited, Reason, Unauthenticated

WRONG = "wrong password"


def verified(*replicas: Replica) -> int:
    """How many hashes were compared."""
    return sum(replica.desk.passwords.verified for replica in replicas)


async def test_of_a_hundred_wrong_passwords_at_once_so_many_are_looked_at(auth: Replica, other: Replica) -> None:
    """GHSA-7h8m-vrxx-vr4m: parallel checks beat the lock-out of zitadel."""
    ada = await auth.person()
    before = verified(auth, other)
    both = itertools.cycle((auth, other))
    _, errors = await outcomes([next(both).login(ada.email, WRONG, STRANGER) for _ in range(100)])
    assert len(errors) == 100
    refused = [error for error in errors if isinstance(error, RateLimited)]
    looked_at = verified(auth, other) - before
    assert looked_at <= limits.LOGIN_FROM_ADDRESS.burst + 1  # one comes back in a minute and a half
    assert len(errors) - len(refused) == looked_at
    assert all(error.retry_after and error.retry_after <= 90 for error in refused)
    with pytest.raises(RateLimited):
        await auth.login(ada.email, PASSWORD, STRANGER)


async def test_an_account_that_is_not_there_is_limited_the_same(auth: Replica) -> None:
    ada = await auth.person()
    told = []
    for login in (ada.email, "nobody@acme.example"):
        address = fresh_address()
        _, errors = await outcomes([auth.login(login, WRONG, address) for _ in range(15)])
        texts = sorted((type(error).__name__, error.message, str(error.reason)) for error in errors)
        told.append(texts)
    assert told[0] == told[1]


async def test_a_stranger_cannot_lock_out_who_was_there_before(auth: Replica) -> None:
    ada = await auth.person()
    await auth.login(ada.email, address=HOME)
    for number in range(40):
        with pytest.raises((Unauthenticated, RateLimited)):
            await auth.login(ada.email, WRONG, f"203.0.113.{number}")
    with pytest.raises(RateLimited):
        await auth.login(ada.email, PASSWORD, "203.0.113.200")
    assert (await auth.login(ada.email, address=HOME)).login_id
    await auth.passwords.request_reset(ada.email, "203.0.113.201")
    await auth.passwords.reset(await auth.token_for(ada.email, "pyp"), "eight green teapots", "203.0.113.201")
    assert (await auth.login(ada.email, "eight green teapots", "203.0.113.201")).login_id


async def test_an_address_that_tries_many_accounts_is_slowed(auth: Replica, other: Replica) -> None:
    both = itertools.cycle((auth, other))
    logins = [next(both).login(f"name{number}@acme.example", WRONG, STRANGER) for number in range(110)]
    _, errors = await outcomes(logins)
    assert verified(auth, other) <= limits.LOGINS_FROM_ADDRESS.burst + 10
    assert any(isinstance(error, RateLimited) for error in errors)
    ada = await auth.person()
    assert (await auth.login(ada.email)).login_id


async def test_the_neighbours_of_an_ipv6_address_count_as_one(auth: Replica) -> None:
    ada = await auth.person()
    addresses = [f"2001:db8:1:1::{number:x}" for number in range(15)]
    _, errors = await outcomes([auth.login(ada.email, WRONG, address) for address in addresses])
    assert any(isinstance(error, RateLimited) for error in errors)
    assert (await auth.login(ada.email, address="2001:db8:1:2::1")).login_id


async def test_limits_outlive_a_restart(database_url: str) -> None:
    async with replica_over(database_url) as before:
        ada = await before.person()
        await outcomes([before.login(ada.email, WRONG, STRANGER) for _ in range(12)])
    async with replica_over(database_url) as after:
        with pytest.raises(RateLimited):
            await after.login(ada.email, PASSWORD, STRANGER)
        assert verified(after) == 0


async def test_right_passwords_count_nothing(auth: Replica) -> None:
    ada = await auth.person()
    for _ in range(limits.LOGIN_FROM_ADDRESS.burst + 5):
        await auth.login(ada.email)


async def test_registering_is_limited_for_an_address(auth: Replica, other: Replica) -> None:
    both = itertools.cycle((auth, other))
    calls = [
        next(both).registration.register(f"new{number}@acme.example", "", PASSWORD, "", STRANGER)
        for number in range(limits.REGISTRATIONS.burst + 10)
    ]
    _, errors = await outcomes(calls)
    assert {type(error) for error in errors} == {RateLimited}
    (row,) = await auth.rows("SELECT count(*) AS many FROM accounts")
    assert row.many <= limits.REGISTRATIONS.burst + 1


async def test_asking_for_letters_is_limited_for_an_address(auth: Replica) -> None:
    for ask in (auth.registration.resend, auth.passwords.request_reset):
        address = fresh_address()
        calls = [ask(f"name{number}@acme.example", address) for number in range(limits.LETTERS_ASKED.burst + 5)]
        _, errors = await outcomes(calls)
        assert {type(error) for error in errors} == {RateLimited}


async def test_a_mailbox_is_not_filled_by_strangers(auth: Replica) -> None:
    ada = await auth.person()
    await auth.deliver()
    before = len(auth.mailbox.to(ada.email))
    for _ in range(10):
        await auth.passwords.request_reset(ada.email, fresh_address())
        await auth.registration.register(ada.email, "", PASSWORD, "", fresh_address())
    await auth.deliver()
    assert len(auth.mailbox.to(ada.email)) - before <= limits.LETTERS_TO.burst


@pytest.mark.parametrize("prefix", ["pyv", "pyp"])
async def test_guessing_tokens_is_limited(auth: Replica, prefix: str) -> None:
    async def guess(number: int) -> None:
        token = f"{prefix}_{number:043}"
        if prefix == "pyv":
            await auth.registration.verify(token, STRANGER)
        else:
            await auth.passwords.reset(token, PASSWORD, STRANGER)

    _, errors = await outcomes([guess(number) for number in range(limits.TOKENS_SHOWN.burst + 10)])
    kinds = {error.reason for error in errors}
    assert kinds == {Reason.LETTER_TOKEN_INVALID, Reason.RATE_LIMITED}
    assert len(errors) == limits.TOKENS_SHOWN.burst + 10


async def test_the_current_password_cannot_be_guessed_with_a_stolen_token(auth: Replica) -> None:
    ada = await auth.person()
    calls = [auth.passwords.change(ada.user_id, "", WRONG, "eight green teapots", HOME) for _ in range(30)]
    _, errors = await outcomes(calls)
    assert {type(error) for error in errors} == {InvalidInput, RateLimited}
    assert verified(auth) <= limits.PASSWORD_OF_PERSON.burst + 1


@pytest.mark.slow
async def test_a_thousand_wrong_logins(auth: Replica, other: Replica) -> None:
    ada = await auth.person()
    await auth.login(ada.email, address=HOME)
    started = verified(auth, other)
    both = itertools.cycle((auth, other))
    for begin in range(0, 1000, 100):
        addresses = (f"203.0.{n % 7}.{n % 251}" for n in range(begin, begin + 100))
        _, errors = await outcomes([next(both).login(ada.email, WRONG, address) for address in addresses])
        assert len(errors) == 100
    assert verified(auth, other) - started <= limits.LOGIN.burst + 5
    assert (await auth.login(ada.email, address=HOME)).login_id
    (row,) = await auth.rows("SELECT count(*) AS many FROM audit WHERE action = 'login' AND outcome = 'refused'")
    assert row.many == 1000


def invitation(email: str, sent_by: str) -> LetterWanted:
    values = {"workspace": "acme", "display_name": "Acme", "role": "viewer", "invited_by": "Ada", "token": "pyi_x"}
    return LetterWanted("invitation", values, email=email, sent_by=sent_by)


async def test_invitations_are_limited_to_an_address_and_by_a_person(auth: Replica, other: Replica) -> None:
    """Whoever has an account could have letters sent to strangers, as many as they like, else."""
    send, most = auth.administration.send_letter, limits.INVITATIONS_TO.burst
    for number in range(most):
        await send(invitation("Bob@acme.example", f"person-{number}"), f"to:{number}", b"")
    with pytest.raises(RateLimited) as refusal:
        await other.administration.send_letter(invitation("bob@ACME.example", "another"), "to:more", b"")
    assert 0 < (refusal.value.retry_after or 0) <= limits.INVITATIONS_TO.every.total_seconds()
    await send(invitation("Bob@acme.example", "person-0"), "to:0", b"")  # a repeat is no other letter
    for number in range(limits.INVITATIONS_BY.burst):
        await send(invitation(f"friend-{number}@acme.example", "eve"), f"by:{number}", b"")
    with pytest.raises(RateLimited):
        await other.administration.send_letter(invitation("one-more@acme.example", "eve"), "by:more", b"")
    await send(invitation("one-more@acme.example", "ada"), "by:ada", b"")
    [sent] = await auth.rows("SELECT count(*) AS letters FROM letters WHERE template = 'invitation'")
    assert sent.letters == most + limits.INVITATIONS_BY.burst + 1


async def test_nobody_keeps_a_letter_about_a_password_from_somebody_by_inviting_them(auth: Replica) -> None:
    ada = await auth.person()
    for number in range(limits.INVITATIONS_TO.burst):
        await auth.administration.send_letter(invitation(ada.email, "eve"), f"to:{number}", b"")
    await auth.passwords.request_reset(ada.email, HOME)
    assert await auth.token_for(ada.email, "pyp")


async def test_welcome_letters_count_as_letters_to_an_address(auth: Replica) -> None:
    """Those beyond are dropped without a word, as in registration: the saga that asks for one goes on."""
    ada = await auth.person()  # one letter so far
    wanted = LetterWanted("welcome", {"workspace": "ada"}, user_id=ada.user_id)
    for number in range(limits.LETTERS_TO.burst):
        await auth.administration.send_letter(wanted, f"saga:{number}", b"")
    await auth.deliver()
    assert len(auth.mailbox.to(ada.email)) == limits.LETTERS_TO.burst
