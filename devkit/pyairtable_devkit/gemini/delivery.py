"""Sending an answer: whole, as server-sent events or as a JSON array, at the pace asked for, or broken off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.types import Send

from pyairtable_devkit.gemini.http import send_json, start
from pyairtable_devkit.gemini.reply import Delivery
from pyairtable_devkit.gemini.settings import Settings
from pyairtable_devkit.gemini.wire import Generation, chunks, whole

Framer = Callable[[bytes, bool, bool], bytes]


async def deliver(send: Send, generation: Generation, delivery: Delivery, settings: Settings, streaming: str) -> bool:
    """Send a generation; `streaming` is "" (one answer), "sse" or "array". False when it was cut on purpose."""
    await asyncio.sleep(delivery.delay + settings.seconds_to_first_token)
    if not streaming:
        await asyncio.sleep(settings.seconds_per_token * generation.output_tokens)
        return await _send_whole(send, whole(generation), delivery)
    planned = list(delivery.raw_chunks) or chunks(generation, settings.chunk_tokens)
    pause = delivery.chunk_delay + settings.seconds_per_token * generation.output_tokens / len(planned)

    async def wait() -> None:
        await asyncio.sleep(pause)

    return await _send_stream(send, planned, streaming, wait, delivery.cut_after)


async def _send_whole(send: Send, body: dict[str, Any], delivery: Delivery) -> bool:
    if delivery.cut_after is None:
        await send_json(send, 200, delivery.raw_chunks[0] if delivery.raw_chunks else body)
        return True
    data = orjson.dumps(body)
    await start(send, 200, "application/json; charset=UTF-8", len(data))
    await send({"type": "http.response.body", "body": data[: len(data) // 2], "more_body": True})
    return False


async def _send_stream(
    send: Send, planned: list[Any], streaming: str, wait: Callable[[], Awaitable[None]], cut_after: int | None
) -> bool:
    frame: Framer = _sse if streaming == "sse" else _array
    await start(send, 200, "text/event-stream" if streaming == "sse" else "application/json; charset=UTF-8")
    for index, chunk in enumerate(planned):
        if cut_after is not None and index >= cut_after:
            break
        await wait()
        data = chunk.encode() if isinstance(chunk, str) else orjson.dumps(chunk)
        framed = frame(data, index == 0, index == len(planned) - 1)
        await send({"type": "http.response.body", "body": framed, "more_body": True})
    if cut_after is not None:
        # Half an event, then the ASGI call ends without its last message: the server drops the connection.
        await send({"type": "http.response.body", "body": b'data: {"candidates": [{"con', "more_body": True})
        return False
    await send({"type": "http.response.body", "body": b""})
    return True


def _sse(data: bytes, first: bool, last: bool) -> bytes:
    return b"data: " + data + b"\r\n\r\n"


def _array(data: bytes, first: bool, last: bool) -> bytes:
    return (b"[" if first else b",\r\n") + data + (b"]" if last else b"\n")
