"""The SMTP side: takes letters, and strikes with faults on the way."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from pyairtable_devkit.mailbox.faults import Fault
from pyairtable_devkit.mailbox.state import State

GREETING_NAME = "mailbox.emulator"
OK = "250 OK"


class Handler:
    """The hooks of aiosmtpd. Each returns the line that the client gets."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._state.settings.username and not session.authenticated:
            return "530 5.7.0 Authentication required"
        refusal = await self._strike(server, "mail", address, ())
        if refusal is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return refusal or OK

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = await self._strike(server, "rcpt", envelope.mail_from or "", (address,))
        if refusal is None:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return refusal or OK

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        sender, recipients = envelope.mail_from or "", tuple(envelope.rcpt_tos)
        fault = self._state.faults.strike("data", sender=sender, recipients=recipients)
        if fault is not None and fault.kind != "lose_answer":
            refusal = await self._suffer(server, fault, sender, recipients)
            if refusal is not None:
                return refusal
        assert isinstance(envelope.content, bytes), "decode_data is off"
        letter = await self._state.letters.deliver(sender, recipients, envelope.content)
        outcome = "kept" if letter.deliveries == 1 else "repeated"
        self._state.attempt("data", outcome, sender=sender, recipients=recipients, message_id=letter.message_id)
        if fault is not None and fault.kind == "lose_answer":
            await self._suffer(server, fault, sender, recipients)
        return f"250 OK: letter {letter.id}"

    async def _strike(self, server: SMTP, stage: str, sender: str, recipients: tuple[str, ...]) -> str | None:
        fault = self._state.faults.strike(stage, sender=sender, recipients=recipients)
        return None if fault is None else await self._suffer(server, fault, sender, recipients)

    async def _suffer(self, server: SMTP, fault: Fault, sender: str, recipients: tuple[str, ...]) -> str | None:
        """The refusal of a fault; None when the client is to go on; never returns when it ends the connection."""
        self._state.attempt(fault.stage, fault.kind, sender=sender, recipients=recipients)
        if fault.kind == "refuse":
            return f"{fault.status} {fault.message}"
        if fault.kind == "hang":
            await asyncio.sleep(fault.seconds)  # a client that leaves cancels this
            return None
        abort(server.transport)
        await asyncio.Event().wait()  # the lost connection cancels this
        return None


def abort(transport: asyncio.BaseTransport | None) -> None:
    """End a connection without a word. (uvloop's transports are no subclasses of asyncio's.)"""
    if transport is not None:
        cast(asyncio.WriteTransport, transport).abort()


class Refusing(asyncio.Protocol):
    """A connection that is refused, dropped or left waiting before a word was said."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writing = cast(asyncio.WriteTransport, transport)
        if self._fault.kind == "refuse":
            writing.write(f"{self._fault.status} {self._fault.message}\r\n".encode())
            transport.close()
        elif self._fault.kind == "drop":
            abort(transport)
        else:
            asyncio.get_running_loop().call_later(self._fault.seconds, transport.close)


class Connection(SMTP):
    """An SMTP connection that its server can end."""

    def __init__(self, state: State, connections: set[Connection]) -> None:
        self._mailbox = state
        self._connections = connections
        super().__init__(
            Handler(state),
            hostname=GREETING_NAME,
            ident="PyAirtable mailbox (emulator)",
            enable_SMTPUTF8=True,
            authenticator=self._login,
            auth_require_tls=False,  # it listens for programs of this machine and knows no certificate
            loop=asyncio.get_running_loop(),
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        super().connection_lost(error)

    def abort(self) -> None:
        """End it at once."""
        abort(self.transport)

    def _login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        settings = self._mailbox.settings
        expected = LoginPassword(settings.username.encode(), settings.password.encode())
        return AuthResult(success=not settings.username or data == expected, handled=False)


class SmtpServer:
    """Listens; `start` and `stop` run in the loop that serves."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: Any) -> None:
        """Take connections on a listening socket."""
        self._server = await asyncio.get_running_loop().create_server(self._accept, sock=listener)

    async def stop(self) -> None:
        """End all connections and listen no more."""
        assert self._server is not None, "start() comes first"
        self._server.close()
        for connection in list(self._connections):
            connection.abort()
        await self._server.wait_closed()

    def _accept(self) -> asyncio.BaseProtocol:
        fault = self._state.faults.strike("connect")
        if fault is None:
            return Connection(self._state, self._connections)
        self._state.attempt("connect", fault.kind)
        return Refusing(fault)
