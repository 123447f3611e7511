"""A running mailbox, and a sender of letters."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterator
from email.message import EmailMessage

import pytest

from pyairtable_devkit.mailbox.testing import MailboxEmulator

Send = Callable[..., None]


@pytest.fixture(scope="module")
def running_mailbox() -> Iterator[MailboxEmulator]:
    with MailboxEmulator() as mailbox:
        yield mailbox


@pytest.fixture
def mailbox(running_mailbox: MailboxEmulator) -> MailboxEmulator:
    running_mailbox.reset()
    return running_mailbox


@pytest.fixture
def send(mailbox: MailboxEmulator) -> Send:
    """Send a letter as any program would; raises what smtplib raises."""

    def send(
        to: str = "ada@acme.example", *, message_id: str = "", text: str = "Hello", timeout: float = 20, login: str = ""
    ) -> None:
        letter = EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = "robot@acme.example", to, "Grüße"
        if message_id:
            letter["Message-ID"] = message_id
        letter.set_content(text)
        letter.add_alternative(f"<p>{text}</p>", subtype="html")
        with smtplib.SMTP(mailbox.smtp_host, mailbox.smtp_port, timeout=timeout) as client:
            if login:
                client.login("robot", login)
            client.send_message(letter)

    return send
