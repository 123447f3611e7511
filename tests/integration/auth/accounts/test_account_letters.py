"""Letters over a real SMTP server: sent once by any of two replicas, repeated when that fails, under one Message-ID."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from email.header import decode_header, make_header
from typing import Any

import pytest
from integration.auth.accounts.desks import PUBLIC_URL, SENDER, Mailbox, MailServer, Replica, fresh_address

from pyairtable_platform.auth.accounts import letters
from pyairtable_platform.auth.accounts.administration import LetterWanted
from pyairtable_platform.auth.accounts.postman import NoMail, Postman, Smtp
from pyairtable_platform.auth.accounts.sealing import Secrets
from pyairtable_platform.common.errors import (
    FailedPrecondition,
    InvalidInput,
    NotFound,
    PyAirtableError,
    Reason,
    Unavailable,
)

EVE = "eve@acme.example"
INVITATION = {
    "workspace": "acme",
    "display_name": "Acme Renovations",
    "role": "editor",
    "invited_by": "Ada",
    "token": "pyi_" + "x" * 43,
}


def postman_over(replica: Replica, mail: Any, secret: str = "") -> Postman:
    secrets = Secrets(secret) if secret else replica.desk.secrets
    return Postman(replica.desk.engine, secrets, mail, sender=SENDER, public_url=PUBLIC_URL)


@pytest.fixture
async def postmen(replicas: tuple[Replica, Replica], server: tuple[MailServer, int]) -> AsyncIterator[list[Postman]]:
    yield [postman_over(replica, Smtp("127.0.0.1", server[1], starttls=False)) for replica in replicas]


async def invite(replica: Replica, key: str, **changes: str) -> None:
    values = INVITATION | changes
    request = repr(sorted(values.items())).encode()
    await replica.rows("DELETE FROM attempts")  # how many there may be is tried in test_account_limits
    await replica.administration.send_letter(LetterWanted("invitation", values, email=EVE), key, request)


async def test_two_replicas_send_each_letter_once(
    auth: Replica, server: tuple[MailServer, int], postmen: list[Postman]
) -> None:
    for number in range(10):
        await invite(auth, f"invitation:{number}")

    async def work(postman: Postman) -> None:
        while await postman.send_next():
            pass

    await asyncio.gather(*(work(postman) for postman in postmen * 2))
    sent = server[0].letters
    assert len(sent) == 10
    assert len({letter["Message-ID"] for letter in sent}) == 10
    assert sent[0]["From"] == SENDER
    assert sent[0]["To"] == EVE
    assert "Acme Renovations" in sent[0]["Subject"]
    states = await auth.rows("SELECT state, sealed IS NULL AS is_forgotten FROM letters")
    assert {tuple(row) for row in states} == {("sent", True)}


async def test_of_many_who_take_a_letter_at_once_one_gets_it(auth: Replica, other: Replica) -> None:
    async def take(replica: Replica) -> int | None:
        async with replica.desk.transaction() as connection:
            waiting = await letters.take(connection)
            await asyncio.sleep(0.05)  # the others come meanwhile
        return waiting.letter_id if waiting else None

    for number in range(4):
        await invite(auth, f"invitation:{number}")
    taken = await asyncio.gather(*(take(replica) for replica in (auth, other) * 4))
    found = [letter for letter in taken if letter is not None]
    assert len(found) == len(set(found))
    assert found


async def test_a_letter_is_asked_for_once_by_its_key(auth: Replica, other: Replica) -> None:
    await asyncio.gather(*(invite(replica, "saga-1:welcome") for replica in (auth, other) * 5))
    (row,) = await auth.rows("SELECT count(*) AS many FROM letters")
    assert row.many == 1
    with pytest.raises(FailedPrecondition) as error:
        await invite(auth, "saga-1:welcome", role="owner")
    assert error.value.reason is Reason.IDEMPOTENCY_KEY_REUSED


async def test_a_letter_that_fails_is_sent_later_under_the_same_id(
    auth: Replica, server: tuple[MailServer, int], postmen: list[Postman]
) -> None:
    server[0].refusals = ["451 try later"]
    await invite(auth, "one")
    assert await postmen[0].send_next()
    assert not await postmen[1].send_next(), "not at once"
    (row,) = await auth.rows("SELECT state, last_error, attempts, sealed FROM letters")
    assert (row.state, row.attempts) == ("queued", 1)
    assert EVE not in row.last_error
    await auth.rows("UPDATE letters SET next_at = clock_timestamp()")
    assert await postmen[1].send_next()
    assert len(server[0].letters) == 1


async def test_a_letter_that_was_sent_but_not_noted_has_the_same_id(
    auth: Replica, server: tuple[MailServer, int], postmen: list[Postman]
) -> None:
    await invite(auth, "one")
    sealed = (await auth.rows("SELECT sealed FROM letters"))[0].sealed
    await postmen[0].send_next()
    await auth.rows("UPDATE letters SET state = 'queued', sealed = :sealed, next_at = clock_timestamp()", sealed=sealed)
    await postmen[1].send_next()
    first, second = server[0].letters
    assert first["Message-ID"] == second["Message-ID"]


async def test_what_the_mail_server_will_never_take_is_given_up(
    auth: Replica, server: tuple[MailServer, int], postmen: list[Postman]
) -> None:
    server[0].refusals = ["550 no such user"]
    await invite(auth, "one")
    await postmen[0].send_next()
    (row,) = await auth.rows("SELECT state, sealed FROM letters")
    assert (row.state, row.sealed) == ("failed", None)


async def test_a_letter_whose_time_is_over_is_not_sent(
    auth: Replica, server: tuple[MailServer, int], postmen: list[Postman]
) -> None:
    await invite(auth, "one")
    await auth.rows("UPDATE letters SET expires_at = clock_timestamp()")
    await postmen[0].send_next()
    assert server[0].letters == []
    assert (await auth.rows("SELECT state FROM letters"))[0].state == "failed"


async def test_a_letter_of_a_dead_replica_comes_up_again(
    auth: Replica, server: tuple[MailServer, int], postmen: list[Postman]
) -> None:
    await invite(auth, "one")
    postmen[0]._mail = Mailbox(failure=asyncio.CancelledError())  # type: ignore[arg-type]
    with pytest.raises(asyncio.CancelledError):
        await postmen[0].send_next()
    assert not await postmen[1].send_next()
    await auth.rows("UPDATE letters SET next_at = next_at - interval '2 minutes'")
    assert await postmen[1].send_next()
    assert len(server[0].letters) == 1


async def test_the_postman_hears_of_a_letter(
    auth: Replica, server: tuple[MailServer, int], postmen: list[Postman]
) -> None:
    running = asyncio.create_task(postmen[0].run())
    try:
        await invite(auth, "one")
        postmen[0].there_is_one()
        async with asyncio.timeout(30):
            while not server[0].letters:  # noqa: ASYNC110 - a thread of the mail server appends to it
                await asyncio.sleep(0.02)
    finally:
        running.cancel()


async def test_values_stay_on_their_line(auth: Replica, server: tuple[MailServer, int], postmen: list[Postman]) -> None:
    evil = "Acme\r\nBcc: victim@acme.example\r\n\r\nPay here: $token ${public_url}"
    await invite(auth, "one", display_name=evil, invited_by="Eve\u2028\x00\nEve")
    await postmen[0].send_next()
    (letter,) = server[0].letters
    assert letter["Bcc"] is None
    assert letter["To"] == EVE
    text = letter.get_payload(decode=True).decode()
    assert "Acme Bcc: victim@acme.example Pay here: $token ${public_url}" in text


async def test_a_letter_to_an_account_knows_its_names(auth: Replica) -> None:
    ada = await auth.person(display_name="Ada L.")
    wanted = LetterWanted("welcome", {"workspace": "ada"}, user_id=ada.user_id)
    await auth.administration.send_letter(wanted, "saga:5", b"")
    await auth.deliver()
    letter = auth.mailbox.to(ada.email)[-1]
    assert letter["Subject"] == "Welcome to PyAirtable"
    assert "Hello Ada L.," in letter.get_content()
    with pytest.raises(NotFound) as error:
        await auth.administration.send_letter(replace(wanted, user_id="nobody"), "saga:6", b"")
    assert error.value.reason is Reason.ACCOUNT_NOT_FOUND
    with pytest.raises(InvalidInput, match="workspace"):
        await auth.administration.send_letter(replace(wanted, values={}), "saga:7", b"")


async def test_without_a_mail_server_letters_wait_and_health_says_so(auth: Replica) -> None:
    with pytest.raises(PyAirtableError, match="SMTP_HOST"):
        await NoMail().check()
    await invite(auth, "one")
    postman = postman_over(auth, NoMail())
    running = asyncio.create_task(postman.run())
    await asyncio.sleep(0.05)
    running.cancel()
    (row,) = await auth.rows("SELECT state, attempts FROM letters")
    assert tuple(row) == ("queued", 0)


async def test_a_mail_server_without_encryption_gets_nothing_unless_told(
    auth: Replica, server: tuple[MailServer, int]
) -> None:
    strict = Smtp("127.0.0.1", server[1])
    with pytest.raises(Unavailable):
        await strict.check()
    await invite(auth, "one")
    await postman_over(auth, strict).send_next()
    assert server[0].letters == []
    await Smtp("127.0.0.1", server[1], starttls=False).check()


async def test_a_letter_sealed_under_another_secret_waits(auth: Replica, server: tuple[MailServer, int]) -> None:
    await invite(auth, "one")
    mail = Smtp("127.0.0.1", server[1], starttls=False)
    await postman_over(auth, mail, "another secret of this test").send_next()
    assert server[0].letters == []
    assert (await auth.rows("SELECT state FROM letters"))[0].state == "queued"


async def test_domains_in_other_scripts_are_written_as_dns_knows_them(auth: Replica) -> None:
    await auth.registration.register("ada@m\u00fcnchen.example", "", "seven green teapots", "", fresh_address())
    await auth.deliver()
    assert auth.mailbox.letters[-1]["To"] == "ada@xn--mnchen-3ya.example"


async def test_letters_in_any_script_arrive_as_they_were_written(
    auth: Replica, server: tuple[MailServer, int], postmen: list[Postman]
) -> None:
    await invite(auth, "one", display_name="\u5c0f\u6797 & S\u00f6hne", invited_by="\u0410\u0434\u0430 " * 300)
    await postmen[0].send_next()
    (letter,) = server[0].letters
    text = letter.get_payload(decode=True).decode()
    assert "\u5c0f\u6797 & S\u00f6hne" in text
    assert text.count("\u0410\u0434\u0430") == 300
    assert str(make_header(decode_header(letter["Subject"]))).count("\u5c0f\u6797 & S\u00f6hne") == 1


async def test_a_letter_that_cannot_be_made_does_not_hold_up_others(
    auth: Replica, server: tuple[MailServer, int], postmen: list[Postman]
) -> None:
    sealed = auth.desk.secrets.seal("broken", {"to": "broken"})
    await auth.rows(
        "INSERT INTO letters (key, template, user_id, sealed, state) "
        "VALUES ('broken', 'welcome', '', :sealed, 'queued')",
        sealed=sealed,
    )
    await invite(auth, "one")
    assert await postmen[0].send_next()
    assert await postmen[0].send_next()
    assert len(server[0].letters) == 1
    states = {row.template: row.state for row in await auth.rows("SELECT template, state FROM letters")}
    assert states == {"welcome": "queued", "invitation": "sent"}
