"""The mailbox keeps letters as they came, once per Message-ID."""

from __future__ import annotations

import smtplib
import threading
from collections.abc import Callable

import httpx2
import pytest

from pyairtable_devkit.mailbox.testing import MailboxEmulator

Send = Callable[..., None]


def test_a_letter_is_shown_as_it_came(mailbox: MailboxEmulator, send: Send) -> None:
    send(text="Your link: https://pyairtable.example/verify?token=pyv_x")
    (letter,) = mailbox.letters(to="ADA@acme.example")
    assert (letter["from"], letter["to"], letter["subject"]) == ("robot@acme.example", ["ada@acme.example"], "Grüße")
    assert "verify?token=pyv_x" in letter["text"] and letter["html"].startswith("<p>")
    assert httpx2.get(f"{mailbox.url}/messages/{letter['id']}").json() == letter


def test_letters_of_others_are_left_out_and_come_in_order(mailbox: MailboxEmulator, send: Send) -> None:
    send("bob@acme.example")
    send(text="first")
    send(text="second")
    first, second = mailbox.letters(to="ada@acme.example")
    assert [first["text"].strip(), second["text"].strip()] == ["first", "second"]
    assert mailbox.letters(to="ada@acme.example", after=first["id"]) == [second]


def test_a_repeated_message_id_is_one_letter_that_came_twice(mailbox: MailboxEmulator, send: Send) -> None:
    send(message_id="<one@acme.example>")
    send(message_id="<one@acme.example>")
    send(message_id="<two@acme.example>")
    one, two = mailbox.letters()
    assert (one["deliveries"], one["contents"], two["deliveries"]) == (2, 1, 1)


def test_a_repeat_with_another_text_is_told(mailbox: MailboxEmulator, send: Send) -> None:
    send(message_id="<one@acme.example>", text="a")
    send(message_id="<one@acme.example>", text="b")
    (letter,) = mailbox.letters()
    assert letter["contents"] == 2 and letter["text"].strip() == "a"


def test_letters_without_message_id_are_each_their_own(mailbox: MailboxEmulator, send: Send) -> None:
    send()
    send()
    assert [letter["deliveries"] for letter in mailbox.letters()] == [1, 1]


def test_who_waits_gets_the_letter_when_it_comes(mailbox: MailboxEmulator, send: Send) -> None:
    late = threading.Timer(0.1, send, ["carol@acme.example"])
    late.start()
    assert len(mailbox.letters(to="carol@acme.example", wait=20)) == 1
    late.join()


def test_who_waits_in_vain_gets_nothing(mailbox: MailboxEmulator) -> None:
    assert mailbox.letters(to="nobody@acme.example", wait=0.05) == []


def test_letters_can_be_forgotten(mailbox: MailboxEmulator, send: Send) -> None:
    send(message_id="<one@acme.example>")
    mailbox.clear()
    assert mailbox.letters() == []
    send(message_id="<one@acme.example>")
    assert [letter["deliveries"] for letter in mailbox.letters()] == [1]


def test_the_page_for_people_shows_links_and_escapes_everything_else(mailbox: MailboxEmulator, send: Send) -> None:
    send(text="<script>alert(1)</script> https://pyairtable.example/verify?a=1&b=2")
    page = httpx2.get(mailbox.url).text
    assert "<script>" not in page
    assert '<a href="https://pyairtable.example/verify?a=1&amp;b=2">' in page


def test_an_unknown_letter_is_not_found(mailbox: MailboxEmulator) -> None:
    answer = httpx2.get(f"{mailbox.url}/messages/999")
    assert (answer.status_code, answer.json()) == (404, {"error": "there is no letter 999"})
    assert httpx2.get(f"{mailbox.url}/messages?after=x").status_code == 400


def test_a_mailbox_with_a_user_takes_letters_only_after_the_right_login(mailbox: MailboxEmulator, send: Send) -> None:
    mailbox.settings(username="robot", password="not-a-real-one")
    with pytest.raises(smtplib.SMTPSenderRefused, match="Authentication required"):
        send()
    with pytest.raises(smtplib.SMTPAuthenticationError):
        send(login="wrong")
    send(login="not-a-real-one")
    assert len(mailbox.letters()) == 1
