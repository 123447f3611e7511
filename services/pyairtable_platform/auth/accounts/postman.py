"""Sends the letters that wait, by SMTP. Any number of replicas may run one."""

from __future__ import annotations

import asyncio
import email.policy
import hashlib
import logging
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from typing import Protocol

import aiosmtplib
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.database import NO_WORKSPACE, transaction
from pyairtable_platform.common.errors import FailedPrecondition, PyAirtableError, Unavailable
from pyairtable_platform.common.wakeups import until_woken

from . import letters, templates
from .sealing import Secrets

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
SEND_SECONDS = 30.0
IMPLICIT_TLS_PORT = 465

# Every server takes seven bits; eight have to be offered.
_POLICY = email.policy.SMTP.clone(cte_type="7bit")

LETTERS = Counter(
    "pyairtable_letters_total", "Letters by what became of an attempt to send them", ["template", "outcome"]
)


class Refused(Exception):
    """The mail server takes this letter never; it is not tried again."""


class Mail(Protocol):
    """Who takes letters to people."""

    async def send(self, message: EmailMessage) -> None:
        """Raises Refused, or anything else for what may pass."""
        ...

    async def check(self) -> None:
        """For /health."""
        ...


@dataclass(frozen=True)
class Smtp:
    """A mail server. Implements Mail."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    starttls: bool = True
    """Never a word in clear; on port 465 the connection is encrypted from its start."""

    async def send(self, message: EmailMessage) -> None:
        try:
            async with self._client() as client:
                await client.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(500 <= refusal.code < 600 for refusal in error.recipients):
                raise Refused from error
            raise
        except aiosmtplib.SMTPDataError as error:
            if 500 <= error.code < 600:
                raise Refused from error
            raise

    async def check(self) -> None:
        try:
            async with self._client() as client:
                await client.noop()
        except (aiosmtplib.SMTPException, OSError) as error:
            text = "the mail server cannot be reached or refuses us: letters wait until it is back"
            raise Unavailable(text, dependency="mail") from error

    def _client(self) -> aiosmtplib.SMTP:
        is_encrypted = self.port == IMPLICIT_TLS_PORT
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.user or None,
            password=self.password or None,
            use_tls=is_encrypted,
            start_tls=self.starttls and not is_encrypted,
            timeout=SEND_SECONDS / 2,
        )


class NoMail:
    """Takes none: letters wait until there is a mail server. Implements Mail."""

    async def send(self, message: EmailMessage) -> None:
        raise FailedPrecondition(_NO_MAIL)

    async def check(self) -> None:
        raise FailedPrecondition(_NO_MAIL)


_NO_MAIL = "there is no mail server (SMTP_HOST): letters are kept and nobody gets one, so that nobody can register"


class Postman:
    """Takes letters out of the queue, one after the other. Run `run` in the background."""

    def __init__(self, engine: AsyncEngine, secrets: Secrets, mail: Mail, *, sender: str, public_url: str) -> None:
        self._engine = engine
        self._secrets = secrets
        self._mail = mail
        self._sender = sender
        self._public_url = public_url
        self._told = asyncio.Event()

    def there_is_one(self) -> None:
        """Say that a letter was queued: it need not wait for the next look."""
        self._told.set()

    async def run(self) -> None:
        """Send, for ever."""
        if isinstance(self._mail, NoMail):
            log.warning(_NO_MAIL)
            await asyncio.Event().wait()
        while True:
            self._told.clear()
            try:
                while await self.send_next():
                    pass
            except PyAirtableError as error:
                log.warning("letters wait", extra={"reason": str(error.reason)})
            await until_woken(self._told, LOOK_SECONDS)

    async def send_next(self) -> bool:
        """Send a letter; False when none waits."""
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            waiting = await letters.take(connection)
        if waiting is None:
            return False
        if waiting.is_late:
            await self._settle(waiting, "failed", "its time is over")
            return True
        try:
            # Within the lease, else another sender would take it for left behind.
            async with asyncio.timeout(SEND_SECONDS):
                await self._mail.send(self.message_of(waiting))
        except Refused:
            await self._settle(waiting, "failed", "refused by the mail server")
        except Exception as error:  # one letter that cannot be made or sent must not hold up those behind it
            await self._put_off(waiting, error)
        else:
            await self._settle(waiting, "sent")
        return True

    def message_of(self, waiting: letters.Waiting) -> EmailMessage:
        """A letter as mail."""
        values = self._secrets.open(waiting.key, waiting.sealed)
        letter = templates.composed(waiting.template, values, self._public_url)
        message = EmailMessage(policy=_POLICY)
        message["From"] = self._sender
        message["To"] = values["to"]
        message["Subject"] = letter.subject
        message["Date"] = formatdate()
        message["Message-ID"] = message_id(waiting.key, self._sender)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.body)
        return message

    async def _settle(self, waiting: letters.Waiting, state: str, error: str = "") -> None:
        LETTERS.labels(waiting.template, state).inc()
        if error:
            log.error("a letter was given up", extra={"letter": waiting.letter_id, "error": error})
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            await letters.settle(connection, waiting.letter_id, state, error)

    async def _put_off(self, waiting: letters.Waiting, error: Exception) -> None:
        # The answer of a mail server may hold the address; its kind is enough.
        kind = type(error).__name__
        LETTERS.labels(waiting.template, "put off").inc()
        log.warning("a letter could not be sent", extra={"letter": waiting.letter_id, "error": kind})
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            await letters.put_off(connection, waiting, kind)


def message_id(key: str, sender: str) -> str:
    """The same for each attempt, so that a mail program shows a repetition once."""
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{domain}>"
