"""Raw bytes on the socket: every request has one meaning, or is refused and the connection closed."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
from integration.api_gateway.conftest import Door

GET = b"GET /api/tools HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SMUGGLED = b"GET /api/sessions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def exchange(door: Door, sent: bytes) -> list[int]:
    """Send bytes, return the status of every answer that came until the door closed the connection."""
    url = urlsplit(door.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(20):
            received = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


AMBIGUOUS = {
    "length and chunked": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 51\r\n\r\n{}" + SMUGGLED,
    "equal lengths twice": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + SMUGGLED,
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}" + SMUGGLED,
    "a signed length": POST + b"Content-Length: +2\r\n\r\n{}" + SMUGGLED,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n{}" + SMUGGLED,
    "unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "space before the colon": POST + b"Content-Length : 2\r\n\r\n{}" + SMUGGLED,
    "folded header": POST + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}" + SMUGGLED,
    "bad chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n" + SMUGGLED,
    "no host": b"GET /api/tools HTTP/1.1\r\n\r\n" + SMUGGLED,
    "two hosts": GET + b"Host: evil.example\r\n\r\n" + SMUGGLED,
    "nul in a header": GET + b"X: a\x00b\r\n\r\n" + SMUGGLED,
    "bare line feeds": b"GET /api/tools HTTP/1.1\nHost: localhost\nX: y\n\n" + SMUGGLED,
}


@pytest.mark.parametrize("case", AMBIGUOUS)
async def test_an_ambiguous_request_is_refused_and_nothing_after_it_is_served(door: Door, case: str) -> None:
    statuses = await exchange(door, AMBIGUOUS[case])
    assert statuses
    assert statuses[0] == 400
    assert not any(call.method == "ListSessions" for call in door.behind.recorder.calls)


async def test_oversized_headers_are_refused_and_the_connection_closed(door: Door) -> None:
    for headers in (b"X: " + b"a" * 40_000 + b"\r\n", b"X: y\r\n" * 20_000):
        assert await exchange(door, GET + headers + b"\r\n" + SMUGGLED) == [413]
    assert door.behind.recorder.calls == []


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"{}" * 100])
async def test_what_is_not_http_does_no_harm(door: Door, junk: bytes) -> None:
    assert all(status == 400 for status in await exchange(door, junk))
    assert (await door.http.get("/api/tools")).status_code == 200


async def test_pipelined_requests_are_each_answered(door: Door) -> None:
    assert await exchange(door, GET + b"\r\n" + GET + b"Connection: close\r\n\r\n") == [200, 200]


async def test_a_percent_escaped_path_cannot_leave_its_folder(door: Door) -> None:
    for path in (
        b"/static/%2e%2e/main.py",
        b"/static/..%2fmain.py",
        b"/static/%2e%2e%2f%2e%2e%2fcli.py",
        b"//etc/passwd",
    ):
        head = b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert await exchange(door, head) == [404]
