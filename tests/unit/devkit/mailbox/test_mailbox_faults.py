"""Faults of the mailbox strike as often and where they were told to."""

from __future__ import annotations

import smtplib
from collections.abc import Callable

import pytest

from pyairtable_devkit.mailbox.faults import FaultError, read_fault
from pyairtable_devkit.mailbox.testing import MailboxEmulator

Send = Callable[..., None]


@pytest.mark.parametrize(
    ("stage", "status", "refusal"),
    [
        ("connect", 421, smtplib.SMTPConnectError),
        ("mail", 451, smtplib.SMTPSenderRefused),
        ("rcpt", 550, smtplib.SMTPRecipientsRefused),
        ("data", 452, smtplib.SMTPDataError),
    ],
)
def test_a_refusal_strikes_at_its_stage_once(
    mailbox: MailboxEmulator, send: Send, stage: str, status: int, refusal: type[Exception]
) -> None:
    mailbox.fault("refuse", stage=stage, status=status)
    with pytest.raises(refusal, match=str(status)):
        send()
    assert mailbox.letters() == []
    send()
    assert len(mailbox.letters()) == 1
    assert [entry["outcome"] for entry in mailbox.log()] == ["refuse", "kept"]
    assert mailbox.counters() == {"refuse": 1, "kept": 1}


@pytest.mark.parametrize("stage", ["connect", "mail", "rcpt", "data"])
def test_a_dropped_connection_keeps_nothing(mailbox: MailboxEmulator, send: Send, stage: str) -> None:
    mailbox.fault("drop", stage=stage)
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send()
    assert mailbox.letters() == []


@pytest.mark.parametrize("stage", ["connect", "data"])
def test_a_hanging_mailbox_lets_the_sender_run_out_of_time(mailbox: MailboxEmulator, send: Send, stage: str) -> None:
    mailbox.fault("hang", stage=stage)
    with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
        send(timeout=0.3)
    assert mailbox.letters() == []


def test_a_short_hang_only_delays(mailbox: MailboxEmulator, send: Send) -> None:
    mailbox.fault("hang", seconds=0.05)
    send()
    assert len(mailbox.letters()) == 1


def test_after_a_lost_answer_the_letter_is_there_and_the_repeat_is_counted(
    mailbox: MailboxEmulator, send: Send
) -> None:
    mailbox.fault("lose_answer")
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send(message_id="<one@acme.example>")
    send(message_id="<one@acme.example>")
    (letter,) = mailbox.letters()
    assert letter["deliveries"] == 2


def test_a_fault_for_one_address_spares_the_others(mailbox: MailboxEmulator, send: Send) -> None:
    mailbox.fault("refuse", stage="rcpt", match={"to": "bob@*"}, times=None)
    send("ada@acme.example")
    for _ in range(2):
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send("bob@acme.example")
    mailbox.clear_faults()
    send("bob@acme.example")


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"kind": "explode"}, "is not one of refuse"),
        ({"kind": "refuse", "stage": "quit"}, "is not one of connect"),
        ({"kind": "refuse", "status": 250}, "no SMTP refusal"),
        ({"kind": "refuse", "often": 3}, "unknown field 'often'"),
        ({"kind": "refuse", "match": {"subject": "x"}}, "cannot match on 'subject'"),
        ({"kind": "lose_answer", "stage": "rcpt"}, "at the stage data only"),
    ],
)
def test_what_is_no_fault_is_refused_by_name(fault: dict[str, object], text: str) -> None:
    with pytest.raises(FaultError, match=text):
        read_fault(fault)


def test_the_control_side_says_what_is_wrong(mailbox: MailboxEmulator) -> None:
    with pytest.raises(ValueError, match="is not one of refuse"):
        mailbox.fault("explode")
    with pytest.raises(ValueError, match="there is no setting"):
        mailbox.settings(colour="red")
