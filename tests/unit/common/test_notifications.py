"""Hearing of changes goes on, whatever ends the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common import notifications
from pyairtable_platform.common.notifications import Listener

LOST = [
    asyncpg.AdminShutdownError("the server stops"),
    asyncpg.ConnectionDoesNotExistError("closed in the middle"),
    asyncpg.InterfaceError("connection is closed"),
    ConnectionResetError(),
    TimeoutError(),
]


class FakeDriver:
    """asyncpg's connection: LISTEN may fail."""

    def __init__(self, failure: Exception | None) -> None:
        self._failure = failure

    def add_termination_listener(self, _: Callable[..., None]) -> None:
        return None

    async def add_listener(self, channel: str, heard: Callable[..., None]) -> None:
        if self._failure is not None:
            raise self._failure
        heard(self, 1, channel, "a payload")


class FakeEngine:
    """Hands out connections whose LISTEN fails in turn, and then one that works."""

    def __init__(self, failures: list[Exception]) -> None:
        self._failures = failures
        self.driver_connection: FakeDriver | None = None

    def connect(self) -> FakeEngine:
        return self

    async def __aenter__(self) -> FakeEngine:
        self.driver_connection = FakeDriver(self._failures.pop(0) if self._failures else None)
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def get_raw_connection(self) -> Any:
        return self

    async def invalidate(self) -> None:
        return None


async def test_a_connection_that_ends_while_it_is_made_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "RECONNECT_SECONDS", 0.0)
    heard = asyncio.Queue[str]()
    engine = cast(AsyncEngine, FakeEngine([*LOST]))
    listening = asyncio.create_task(
        Listener(engine, "changes", heard=heard.put_nowait, missed=lambda: heard.put_nowait("missed")).run()
    )
    told = [asyncio.create_task(heard.get()) for _ in range(2)]
    await asyncio.wait([listening, told[1]], timeout=30, return_when=asyncio.FIRST_COMPLETED)
    assert not listening.done(), listening.exception()
    assert [task.result() for task in told] == ["a payload", "missed"]
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening
