"""Faults on the connection itself: silence, a closed or reset connection, a body cut short.

ASGI has no word for these, so the server's protocol class hands the transport to the application.
"""

import asyncio
import contextlib
import socket
import struct
from typing import Any

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_EXTENSION = "pyairtable.emulator.transport"


class EmulatorProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with its transport within reach of the application."""

    def on_message_begin(self) -> None:
        """Puts the transport into the scope of each request."""
        super().on_message_begin()
        self.scope["extensions"] = {_EXTENSION: {"transport": self.transport}}


class Dropped(Exception):
    """The caller gets no answer. `hard` resets the connection, otherwise it is closed."""

    def __init__(self, *, hard: bool) -> None:
        super().__init__("connection dropped by a fault")
        self.hard = hard


async def hang(receive: Receive, seconds: float) -> None:
    """Stays silent until the caller gives up or the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass


async def drop(scope: Scope, receive: Receive, *, hard: bool) -> None:
    """Ends the connection without an answer."""
    transport = _transport(scope)
    if hard:
        opened = transport.get_extra_info("socket")
        # Closing with a linger time of zero sends RST instead of FIN.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await hang(receive, 5.0)


async def cut(scope: Scope, receive: Receive, send: Send, start: Message, body: bytes) -> None:
    """Promises the whole body, sends half of it and closes the connection."""
    await send(start)
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    _transport(scope).close()
    await hang(receive, 5.0)


def _transport(scope: Scope) -> Any:
    extension = scope.get("extensions", {}).get(_EXTENSION)
    if extension is None:
        raise RuntimeError("connection faults need the emulator's own server: start it with `serve` or EmulatorThread")
    return extension["transport"]
