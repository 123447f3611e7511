"""The few lines of ASGI that the emulator needs; no framework between, since it must be able to break answers."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

MAX_BODY_BYTES = 20 * 1024 * 1024  # Google AI docs: total request size limit of inline requests


class BodyTooLarge(Exception):
    """The request body is larger than the API takes."""


async def read_body(receive: Receive) -> bytes:
    """The whole request body; raises BodyTooLarge."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


async def send_json(send: Send, status: int, body: Any) -> None:
    """A whole JSON answer."""
    data = orjson.dumps(body, option=orjson.OPT_INDENT_2)
    await start(send, status, "application/json; charset=UTF-8", len(data))
    await send({"type": "http.response.body", "body": data})


async def start(send: Send, status: int, content_type: str, length: int | None = None) -> None:
    """Send status and headers; without a length the body is chunked."""
    headers = [(b"content-type", content_type.encode()), (b"server", b"pyairtable-gemini-emulator")]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def reset_connection(send: Send) -> None:
    """Drop the TCP connection without an answer.

    ASGI has no word for this; uvicorn's `send` is a method of the cycle that holds the transport.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("a connection can only be reset under uvicorn")
    transport.abort()
    await asyncio.sleep(0.01)  # connection_lost runs on the next turn of the loop


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def header(scope: Scope, name: bytes) -> str:
    """A request header, "" when absent."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return ""
