"""A command to Valkey that is cancelled ends, whatever it was at; so does a service whose tasks miss a cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import Connection

from pyairtable_devkit.databases import Valkey
from pyairtable_platform.common import tasks
from pyairtable_platform.common.settings import RedisSettings
from pyairtable_platform.common.valkey import cancellable, open_valkey

MOMENTS = 40
"""Turns of the event loop after which a command is cancelled; it is answered after some ten."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with Valkey.start() as started:
        yield started


@pytest.fixture
async def client(valkey: Valkey) -> AsyncIterator[Redis]:
    opened = open_valkey(RedisSettings(redis_url=valkey.url))  # type: ignore[arg-type]
    yield opened
    await opened.aclose()


async def commands_without_end(client: Redis) -> None:
    while True:
        await client.ping()


async def test_a_cancelled_command_ends_at_any_moment(client: Redis) -> None:
    await client.ping()
    for turns in range(MOMENTS):
        task = asyncio.create_task(commands_without_end(client))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=10)
        task.cancel()
        assert done, f"a cancellation after {turns} turns of the loop was forgotten"
        assert task.cancelled()
    assert await client.ping()


class Forgetful(Connection):
    """Sends as redis-py does on Python 3.11 when the cancellation comes as the send ends."""

    gone = False

    async def send_packed_command(self, *given: Any, **named: Any) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return

    async def disconnect(self, *given: Any, **named: Any) -> None:
        self.gone = True


async def test_a_cancellation_that_a_send_forgot_is_raised_and_the_connection_dropped() -> None:
    connection: Any = cancellable(Forgetful)()
    task = asyncio.create_task(connection.send_packed_command(b"PING"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert connection.gone


async def test_a_task_that_forgot_its_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.01)
    times = 0

    async def forgetful() -> None:
        nonlocal times
        while times < 2:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                times += 1
        await asyncio.sleep(3600)

    task = asyncio.create_task(forgetful())
    await asyncio.sleep(0)
    await tasks.end(task)
    assert task.cancelled()
    assert times == 2
