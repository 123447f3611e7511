"""The wire against servers that behave oddly: sizes, redirects, trickles, shapes; and the moment of the permit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from pyairtable_platform.airtable_gateway import wire
from pyairtable_platform.airtable_gateway.airtable import AirtableClient
from pyairtable_platform.airtable_gateway.answers import NoAnswer, Refusal
from pyairtable_platform.airtable_gateway.limiter import Paused

TOKEN = "patSecret.not-a-real-token"
CALL = wire.whoami()

Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RecordingGate:
    """Notes how far calls came; may refuse them at the last moment."""

    events: list[str] = field(default_factory=list)
    refuses: bool = False

    async def renew(self) -> None:
        self.events.append("renew")
        if self.refuses:
            raise Paused(5)

    def sent(self) -> None:
        self.events.append("sent")

    def answered(self) -> None:
        self.events.append("answered")


@asynccontextmanager
async def odd_server(behave: Behave) -> AsyncIterator[AirtableClient]:
    """A client of a server that reads a request and then does what it likes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = AirtableClient(api_url=url, content_url=url, timeout_seconds=1.0, largest_answer=1000)
    try:
        yield client
    finally:
        await client.close()
        server.close()


def answers(head: str, body: bytes = b"") -> Behave:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return behave


async def failure(behave: Behave) -> NoAnswer:
    async with odd_server(behave) as client:
        with pytest.raises(NoAnswer) as caught:
            await client.send(CALL, TOKEN, RecordingGate())
    assert TOKEN not in caught.value.text
    return caught.value


@pytest.mark.parametrize(
    "behave",
    [
        answers("HTTP/1.1 200 OK\ncontent-length: 5000", b"x" * 5000),
        answers("HTTP/1.1 200 OK\ncontent-length: 50", b'{"id": "usr'),
        answers("HTTP/1.1 200 OK\ncontent-length: 4", b"[{}]"),
        answers("HTTP/1.1 200 OK\ncontent-length: 2", b"{}"),
        answers("HTTP/1.1 200 OK\ncontent-type: text/html\ncontent-length: 6", b"<html>"),
        answers("HTTP/1.1 302 Found\nlocation: http://127.0.0.1:9/steal\ncontent-length: 0"),
        answers("HTTP/1.1 200 OK\ncontent-encoding: gzip\ncontent-length: 4", b"nope"),
        answers("rubbish"),
    ],
    ids=["too large", "cut", "a list", "no id", "html", "redirect", "bad gzip", "not http"],
)
async def test_an_answer_that_is_none_is_told_as_such(behave: Behave) -> None:
    assert (await failure(behave)).sent


async def test_a_trickle_ends_at_the_timeout() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n")
        for _ in range(50):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.2)

    caught = await failure(behave)
    assert caught.sent
    assert "in time" in caught.text


async def test_nobody_there_means_nothing_was_sent() -> None:
    client = AirtableClient(api_url="http://127.0.0.1:9", content_url="", timeout_seconds=1.0, largest_answer=1000)
    gate = RecordingGate()
    with pytest.raises(NoAnswer) as caught:
        await client.send(CALL, TOKEN, gate)
    await client.close()
    assert not caught.value.sent
    assert gate.events == []


async def test_the_permit_is_renewed_after_the_connection_and_before_the_first_byte() -> None:
    gate, before_answer = RecordingGate(), list[str]()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"Bearer {TOKEN}".encode() in head
        before_answer.extend(gate.events)
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{"id": "usr"}')
        await writer.drain()

    async with odd_server(behave) as client:
        assert await client.send(CALL, TOKEN, gate) == {"id": "usr"}
    assert before_answer[0] == "renew"
    assert gate.events == ["renew", "sent", "answered"]


async def test_a_gate_that_refuses_sends_nothing() -> None:
    received = bytearray()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.read(1000))

    async with odd_server(behave) as client:
        with pytest.raises(Paused):
            await client.send(CALL, TOKEN, RecordingGate(refuses=True))
    assert received == b""


async def test_an_error_page_of_a_proxy_is_a_refusal_with_its_status() -> None:
    page = b"<html>bad gateway</html>"
    async with odd_server(answers(f"HTTP/1.1 502 Bad Gateway\ncontent-length: {len(page)}", page)) as client:
        with pytest.raises(Refusal) as caught:
            await client.send(CALL, TOKEN, RecordingGate())
    assert (caught.value.status, caught.value.is_trouble) == (502, True)
