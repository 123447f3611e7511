"""Registering and proving an address: once, by its owner, and without telling who has an account."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest
from integration.auth.accounts.desks import HOME, PASSWORD, PUBLIC_URL, STRANGER, Replica, fresh_address, outcomes

from pyairtable_platform.common.errors import InvalidInput, Reason, Unauthenticated

EMAIL = "ada@acme.example"
THEIRS = "the password of somebody else"


async def registered(replica: Replica, email: str = EMAIL, password: str = PASSWORD, user_name: str = "") -> None:
    await replica.registration.register(email, user_name, password, "", fresh_address())


async def test_of_a_hundred_uses_of_a_token_one_verifies(auth: Replica, other: Replica) -> None:
    await registered(auth)
    token = await auth.token_for(EMAIL)
    both = itertools.cycle((auth, other))
    won, lost = await outcomes([next(both).registration.verify(token, fresh_address()) for _ in range(100)])
    assert len(won) == 1
    assert {error.reason for error in lost} == {Reason.LETTER_TOKEN_INVALID}
    events = await auth.rows("SELECT type, data FROM outbox ORDER BY id")
    assert [event.type for event in events] == ["user.registered.v1", "user.verified.v1"]
    (account,) = await auth.rows("SELECT user_id FROM accounts")
    assert [event.data for event in events] == [{"user_id": account.user_id}] * 2, "streams keep it: no address in it"
    assert (await auth.login(EMAIL)).login_id


async def test_a_token_ends_after_a_day(auth: Replica) -> None:
    await registered(auth)
    token = await auth.token_for(EMAIL)
    await auth.rows("UPDATE letter_tokens SET expires_at = expires_at - interval '24 hours'")
    with pytest.raises(InvalidInput) as error:
        await auth.registration.verify(token, HOME)
    assert error.value.reason is Reason.LETTER_TOKEN_INVALID


async def test_a_letter_sent_again_ends_the_token_before(auth: Replica) -> None:
    await registered(auth)
    first = await auth.token_for(EMAIL)
    await auth.registration.resend(EMAIL.upper(), HOME)
    second = await auth.token_for(EMAIL)
    assert first != second
    with pytest.raises(InvalidInput):
        await auth.registration.verify(first, HOME)
    assert (await auth.registration.verify(second, HOME)).verified_at


async def test_addresses_that_differ_in_case_are_one_account(auth: Replica, other: Replica) -> None:
    emails = ["Ada@Acme.example", "ada@ACME.example", "ADA@acme.EXAMPLE", "\uff21da@acme.example"]
    both = itertools.cycle((auth, other))
    _, errors = await outcomes([registered(next(both), email) for email in emails])
    assert not errors
    (row,) = await auth.rows("SELECT count(*) AS many FROM accounts")
    assert row.many == 1


async def test_the_owner_of_an_account_is_told_and_nothing_changes(auth: Replica) -> None:
    ada = await auth.person(EMAIL)
    before = await auth.rows("SELECT * FROM accounts")
    await registered(auth, EMAIL.upper(), THEIRS, "other-name")
    await auth.deliver()
    letter = auth.mailbox.letters[-1]
    assert letter["To"] == EMAIL
    assert ada.user_name in letter.get_content()
    assert await auth.rows("SELECT * FROM accounts") == before
    with pytest.raises(Unauthenticated):
        await auth.login(EMAIL, THEIRS)


async def the_owner_alone_sets_the_password(auth: Replica) -> None:
    """Whoever registered the address, and in whatever order: who gets its letters proves it and sets the password."""
    await auth.registration.verify(await auth.token_for(EMAIL), HOME)
    for password in (THEIRS, PASSWORD):
        with pytest.raises(Unauthenticated):
            await auth.login(EMAIL, password)
    await auth.passwords.reset(await auth.token_for(EMAIL, "pyp"), PASSWORD, HOME)
    assert (await auth.login(EMAIL)).login_id


async def test_a_stranger_does_not_put_a_password_on_an_address_beforehand(auth: Replica) -> None:
    """Who registers an address first must not know the password when its owner proves it."""
    await registered(auth, password=THEIRS)
    theirs = await auth.token_for(EMAIL)
    await registered(auth)
    await auth.token_for(EMAIL)
    with pytest.raises(InvalidInput):
        await auth.registration.verify(theirs, HOME)
    await the_owner_alone_sets_the_password(auth)


async def test_a_stranger_does_not_put_a_password_on_an_address_afterwards(auth: Replica) -> None:
    """The owner opens the last letter, which looks like the one before."""
    await registered(auth)
    await registered(auth, password=THEIRS)
    await the_owner_alone_sets_the_password(auth)


async def test_a_stranger_who_uses_up_the_letters_keeps_no_password_on_an_address(auth: Replica) -> None:
    await registered(auth, password=THEIRS)
    for _ in range(3):
        await auth.registration.resend(EMAIL, STRANGER)
    token = await auth.token_for(EMAIL)
    await registered(auth)
    assert await auth.token_for(EMAIL) == token, "no further letter was sent"
    await the_owner_alone_sets_the_password(auth)


async def test_who_registers_again_with_the_same_password_keeps_it(auth: Replica) -> None:
    for _ in range(6):
        await registered(auth)
    await auth.registration.verify(await auth.token_for(EMAIL), HOME)
    assert (await auth.login(EMAIL)).login_id


async def test_who_asks_for_a_new_password_does_not_put_a_strangers_in_force(auth: Replica) -> None:
    await registered(auth, password=THEIRS)
    await auth.passwords.request_reset(EMAIL, HOME)
    await the_owner_alone_sets_the_password(auth)


async def test_a_taken_name_gets_another_and_the_answer_does_not_tell(auth: Replica, other: Replica) -> None:
    both = itertools.cycle((auth, other))
    emails = [f"ada{number}@acme.example" for number in range(12)]
    _, errors = await outcomes([registered(next(both), email, user_name="Countess") for email in emails])
    assert not errors
    names = [row.user_name for row in await auth.rows("SELECT user_name FROM accounts")]
    assert len({name.casefold() for name in names}) == 12
    assert sum(name == "Countess" for name in names) == 1
    assert all(name.startswith("Countess") for name in names)


@pytest.mark.parametrize(
    "name", ["\u0410\u0434\u0430", "\u5c0f\u6797-\u9b31", "J\u00fcrgen", "\u0928\u092e\u0938\u094d\u0924\u0947"]
)
async def test_names_of_any_script_log_in_however_they_are_written(auth: Replica, name: str) -> None:
    ada = await auth.person(user_name=name)
    assert ada.user_name == name
    assert (await auth.login(name.upper())).login_id


async def test_a_password_may_be_written_in_two_ways(auth: Replica) -> None:
    ada = await auth.person(password="caf\u00e9 caf\u00e9 caf\u00e9")
    assert (await auth.login(ada.email, "cafe\u0301 cafe\u0301 cafe\u0301")).login_id


@pytest.mark.parametrize(
    ("email", "name", "password", "field"),
    [
        ("no address", "", PASSWORD, "email"),
        ("a@b", "", PASSWORD, "email"),
        ("a@stra\u00dfe.example", "", PASSWORD, "email"),
        ("a\r\nBcc: eve@evil.example@acme.example", "", PASSWORD, "email"),
        ("a@acme.example\r\nBcc: eve@evil.example", "", PASSWORD, "email"),
        (EMAIL, "ab", PASSWORD, "user_name"),
        (EMAIL, "ada@acme.example", PASSWORD, "user_name"),
        (EMAIL, "a\u202eda", PASSWORD, "user_name"),
        (EMAIL, "\x00\x00\x00", PASSWORD, "user_name"),
        (EMAIL, "", "short", "password"),
        (EMAIL, "", "x" * 257, "password"),
        (EMAIL, "", "password1", "password"),
        (EMAIL, "", "Password1", "password"),
        (EMAIL, "countess", "the countess of tea", "password"),
        (EMAIL, "", "ada@acme.example", "password"),
    ],
)
async def test_what_breaks_a_rule_is_told_by_its_field(
    auth: Replica, email: str, name: str, password: str, field: str
) -> None:
    with pytest.raises(InvalidInput) as error:
        await auth.registration.register(email, name, password, "", fresh_address())
    assert error.value.violations[0].field == field
    assert password not in str(error.value)
    assert await auth.rows("TABLE accounts") == []


async def test_asking_for_letters_reads_the_same_for_everybody(auth: Replica) -> None:
    await auth.person(EMAIL)
    before = len(auth.mailbox.letters)
    written = []
    for ask in (auth.registration.resend, auth.passwords.request_reset):
        for email in ("nobody@acme.example", EMAIL):
            (start,) = await auth.rows("SELECT count(*) AS letters FROM letters")
            await ask(email, STRANGER)
            (rows,) = await auth.rows("SELECT count(*) AS letters FROM letters")
            written.append(rows.letters - start.letters)
    assert written == [1, 1, 1, 1], "what is done takes as long"
    await auth.deliver()
    assert [letter["To"] for letter in auth.mailbox.letters[before:]] == [EMAIL]
    tokens = await auth.rows("SELECT user_id FROM letter_tokens WHERE purpose = 'reset'")
    accounts = {row.user_id for row in await auth.rows("SELECT user_id FROM accounts")}
    assert len([row for row in tokens if row.user_id in accounts]) == 1


async def test_no_secret_is_in_the_database_or_the_log(auth: Replica, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await registered(auth)
    await auth.registration.resend(EMAIL, HOME)
    waiting = await dump(auth)
    verify = await auth.token_for(EMAIL)
    await auth.registration.verify(verify, HOME)
    tokens = await auth.login(EMAIL)
    newer = await auth.signing_in.refresh(tokens.refresh_token, HOME)
    await auth.passwords.request_reset(EMAIL, HOME)
    reset = await auth.token_for(EMAIL, "pyp")
    with pytest.raises(Unauthenticated):
        await auth.login(EMAIL, "a password that was wrong")
    everything = waiting + await dump(auth) + caplog.text
    for secret in (
        PASSWORD,
        verify[4:],
        reset[4:],
        tokens.refresh_token[-43:],
        newer.refresh_token[-43:],
        tokens.access_token,
        "a password that was wrong",
    ):
        assert secret not in everything


async def dump(replica: Replica) -> str:
    """All tables as texts, binary columns in each way they may be read."""
    text = []
    for table in (
        "accounts",
        "logins",
        "spent_refresh_tokens",
        "letter_tokens",
        "letters",
        "audit",
        "attempts",
        "outbox",
    ):
        rows = await replica.rows(f"SELECT to_jsonb(t) AS row FROM {table} t")  # noqa: S608
        text += [json.dumps(row.row) for row in rows]
        text += [
            str(bytes.fromhex(value[2:]))
            for row in rows
            for value in row.row.values()
            if isinstance(value, str) and value.startswith("\\x")
        ]
    return "\n".join(text)


async def test_links_lead_to_this_installation(auth: Replica) -> None:
    await registered(auth)
    token = await auth.token_for(EMAIL)
    letter = auth.mailbox.to(EMAIL)[-1]
    assert f"{PUBLIC_URL}/verify-email#token={token}" in letter.get_content()
    assert letter.get_content_type() == "text/plain"


async def test_registrations_at_once_make_one_account(auth: Replica, other: Replica) -> None:
    both = itertools.cycle((auth, other))
    await asyncio.gather(*(registered(next(both)) for _ in range(20)))
    (row,) = await auth.rows("SELECT count(*) AS many FROM accounts")
    assert row.many == 1
    (row,) = await auth.rows("SELECT count(*) AS many FROM outbox WHERE type = 'user.registered.v1'")
    assert row.many == 1
