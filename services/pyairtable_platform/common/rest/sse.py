"""Server-sent events (WHATWG HTML) from streamed messages, and raw bodies from google.api.HttpBody.

A response that carries its message in a field `event` with an `id` and a oneof `kind` becomes an event with that id and
the name of the kind, so that browsers resume by Last-Event-ID. Any other response becomes a plain `data:` event.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson

from pyairtable_platform.common import context
from pyairtable_platform.common.errors import PyAirtableError
from pyairtable_platform.common.status import problem

from .transcoding import to_plain

KEEP_ALIVE_SECONDS = 15.0


def render(message: Any) -> bytes:
    """One message as one event."""
    event = getattr(message, "event", None)
    if event is None or "kind" not in event.DESCRIPTOR.oneofs_by_name:
        return b"data: " + orjson.dumps(to_plain(message)) + b"\n\n"
    kind = event.WhichOneof("kind") or "message"
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, kind.encode(), orjson.dumps(to_plain(event)))


async def events(first: Any, rest: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    """The body of an event stream. An error after the beginning is an event `error` with problem details."""
    yield render(first)
    try:
        async for message in with_keep_alive(rest):
            yield b": keep-alive\n\n" if message is None else render(message)
    except PyAirtableError as error:
        yield b"event: error\ndata: " + orjson.dumps(problem(error, context.request_id())) + b"\n\n"


async def with_keep_alive(messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The messages, and None whenever none came for a while: proxies cut silent connections."""
    pending: asyncio.Task[Any] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(anext(messages, _END))
            done, _ = await asyncio.wait({pending}, timeout=KEEP_ALIVE_SECONDS)
            if not done:
                yield None
                continue
            message, pending = pending.result(), None
            if message is _END:
                return
            yield message
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)
        await messages.aclose()  # type: ignore[attr-defined] # ours are generators


async def raw(first: Any, rest: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    """The bytes of a streamed HttpBody. An error breaks the connection, so that a part never looks whole."""
    yield first.data
    async for message in rest:
        yield message.data


_END = object()
