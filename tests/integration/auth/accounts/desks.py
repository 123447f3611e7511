"""Replicas of the accounts over one PostgreSQL, a mail server that keeps what it gets, and people who use them."""

from __future__ import annotations

import asyncio
import email
import itertools
import re
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import sqlalchemy
from aiosmtpd.controller import Controller
from argon2.profiles import CHEAPEST

from pyairtable_platform.auth.accounts.administration import Administration
from pyairtable_platform.auth.accounts.desk import Desk
from pyairtable_platform.auth.accounts.password_changes import PasswordChanges
from pyairtable_platform.auth.accounts.passwords import Passwords
from pyairtable_platform.auth.accounts.personal_data import PersonalData
from pyairtable_platform.auth.accounts.postman import Postman
from pyairtable_platform.auth.accounts.registration import Registration
from pyairtable_platform.auth.accounts.rules import deliverable
from pyairtable_platform.auth.accounts.sealing import Secrets
from pyairtable_platform.auth.accounts.signing_in import SigningIn, Tokens
from pyairtable_platform.auth.signers import Signers
from pyairtable_platform.auth.signing import Seal
from pyairtable_platform.auth.store import AuthStore
from pyairtable_platform.common.database import EVERY_WORKSPACE, open_engine, transaction
from pyairtable_platform.common.errors import PyAirtableError
from pyairtable_platform.common.settings import DatabaseSettings

SECRET = "plainly-not-a-real-secret-of-this-test"
PASSWORD = "seven green teapots"
HOME = "192.0.2.1"
STRANGER = "198.51.100.7"
PUBLIC_URL = "https://pyairtable.example"
SENDER = "PyAirtable <no-reply@pyairtable.example>"
_numbers = itertools.count(1)


@dataclass
class Mailbox:
    """Implements postman.Mail: keeps letters, or fails as it is told."""

    letters: list[EmailMessage] = field(default_factory=list)
    failure: Exception | None = None

    async def send(self, message: EmailMessage) -> None:
        if self.failure is not None:
            raise self.failure
        self.letters.append(message)

    async def check(self) -> None:
        return None

    def to(self, email: str) -> list[EmailMessage]:
        return [letter for letter in self.letters if letter["To"] == deliverable(email)]


class EverythingIsWished:
    """Implements administration.Wishes."""

    async def wants_invitations(self, user_id: str) -> bool:
        return True


@dataclass
class MailServer:
    """A handler of aiosmtpd that keeps letters, and refuses as it is told."""

    letters: list[Any] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refusals:
            return self.refusals.pop(0)
        self.letters.append(email.message_from_bytes(envelope.content))
        return "250 OK"

    def token_for(self, address: str, purpose: str) -> str:
        """The token in the last letter to an address; empty while there is none."""
        for letter in reversed(self.letters):
            found = re.search(rf"{purpose}_[\w-]{{43}}", letter.get_payload(decode=True).decode())
            if letter["To"] == address and found:
                return found[0]
        return ""


@contextmanager
def mail_server() -> Iterator[tuple[MailServer, int]]:
    """A mail server that speaks SMTP, and its port."""
    handler = MailServer()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield handler, port
    finally:
        controller.stop()


@dataclass
class Replica:
    """One process of the auth service, as far as accounts go."""

    desk: Desk
    mailbox: Mailbox
    postman: Postman
    registration: Registration
    signing_in: SigningIn
    passwords: PasswordChanges
    administration: Administration
    personal_data: PersonalData

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        """Run a statement as the service, over every workspace."""
        async with transaction(self.desk.engine, EVERY_WORKSPACE) as connection:
            result = await connection.execute(sqlalchemy.text(statement), values)
            return list(result.all()) if result.returns_rows else []

    async def deliver(self) -> None:
        """Send all letters that wait."""
        while await self.postman.send_next():
            pass

    async def token_for(self, email: str, purpose: str = "pyv") -> str:
        """The token in the last letter to an address that holds one."""
        await self.deliver()
        for letter in reversed(self.mailbox.to(email)):
            if found := re.search(rf"{purpose}_[\w-]{{43}}", letter.get_content()):
                return found[0]
        raise AssertionError(f"no letter to {email} holds a token {purpose}_")

    async def person(self, email: str = "", user_name: str = "", **fields: str) -> Person:
        """Somebody with an account whose address is proved."""
        number = next(_numbers)
        email, user_name = email or f"ada{number}@acme.example", user_name or f"countess-{number}"
        values = {"password": PASSWORD, "display_name": "", "address": fresh_address()} | fields
        await self.registration.register(email, user_name, **values)
        account = await self.registration.verify(await self.token_for(email), fresh_address())
        return Person(account.user_id, account.email, account.user_name)

    async def login(self, login: str, password: str = PASSWORD, address: str = HOME, device: str = "test") -> Tokens:
        return await self.signing_in.login(login, password, device, address)


@dataclass(frozen=True)
class Person:
    user_id: str
    email: str
    user_name: str


def fresh_address() -> str:
    """An address from where nobody called yet."""
    number = next(_numbers)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@asynccontextmanager
async def replica_over(database_url: str, **options: Any) -> AsyncIterator[Replica]:
    """A process over a database; several may run at once, or one after the other."""
    async with AsyncExitStack() as stack:
        settings = DatabaseSettings(database_url=database_url, db_pool_size=5)  # type: ignore[arg-type]
        engine = open_engine(settings, "auth")
        stack.push_async_callback(engine.dispose)
        passwords = Passwords(
            options.get("at_once", 2), options.get("waiting", 200), options.get("parameters", CHEAPEST)
        )
        stack.callback(passwords.close)
        secrets = Secrets(SECRET)
        mailbox = options.get("mailbox") or Mailbox()
        desk = Desk(
            engine,
            passwords,
            secrets,
            Signers(AuthStore(engine), Seal(SECRET)),
            admins=frozenset(options.get("admins", ())),
        )
        yield Replica(
            desk,
            mailbox,
            Postman(engine, secrets, mailbox, sender=SENDER, public_url=PUBLIC_URL),
            Registration(desk),
            SigningIn(desk),
            PasswordChanges(desk),
            Administration(desk, EverythingIsWished()),
            PersonalData(desk),
        )


async def outcomes(calls: Iterable[Any]) -> tuple[list[Any], list[PyAirtableError]]:
    """Results and typed errors of calls at once; anything else fails the test."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, PyAirtableError) for error in errors), errors
    return [result for result in results if not isinstance(result, BaseException)], errors  # type: ignore[return-value]
