"""The emulators' listening socket."""

import asyncio
import socket

import pytest

from pyairtable_devkit.listening import CannotListenError, listen


async def test_asyncio_sends_without_delay_on_its_connections() -> None:
    delays: asyncio.Queue[int] = asyncio.Queue()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened = writer.get_extra_info("socket")
        delays.put_nowait(opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = listen("127.0.0.1", 0)
    async with await asyncio.start_server(note, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname())
        without_delay = await asyncio.wait_for(delays.get(), 20)
        writer.close()
        await writer.wait_closed()
    assert without_delay


def test_it_takes_connections_at_once() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname(), timeout=20):
        pass


def test_a_taken_port_is_named_with_the_reason() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListenError, match=f"^cannot listen on 127.0.0.1:{port}: Address already in use$"):
            listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(CannotListenError, match=r"^cannot listen on 192\.0\.2\.1:80: "):
        listen("192.0.2.1", 80)
