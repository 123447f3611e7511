"""The turn of a reader of events ends whatever becomes of the task that keeps its lock."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from pyairtable_platform.common.event_consumer import Consumer


class Stubborn:
    """A Valkey that is away, and whose lock swallows the first cancellation, as redis-py may under load."""

    def __init__(self) -> None:
        self.turns = 0
        self.second_turn = asyncio.Event()
        self.released = asyncio.Event()
        self._is_kept = asyncio.Event()
        self._swallows = 1

    def lock(self, name: str, **_: Any) -> Stubborn:
        return self

    async def acquire(self, **_: Any) -> bool:
        self.turns += 1
        if self.turns == 2:
            self.second_turn.set()
        return True

    async def reacquire(self) -> None:
        self._is_kept.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self._swallows -= 1
            if self._swallows < 0:
                raise

    async def release(self) -> None:
        self.released.set()

    async def xgroup_create(self, *_: Any, **__: Any) -> None:
        await self._is_kept.wait()
        raise RedisError("away")


async def test_a_turn_ends_although_a_cancellation_was_swallowed() -> None:
    valkey = Stubborn()
    consumer = Consumer(cast(Redis, valkey), "group", ["user"], cast(Any, None), lock_seconds=0.02)
    reading = asyncio.create_task(consumer.run())
    async with asyncio.timeout(30):
        await valkey.released.wait()
        await valkey.second_turn.wait()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
