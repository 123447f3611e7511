"""Answers that are worth keeping for a moment, and questions that several callers ask at once."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

V = TypeVar("V")


def fingerprint(*parts: str) -> bytes:
    """A key that gives nothing away: credentials are never kept as they came."""
    return hashlib.sha256("\0".join(parts).encode()).digest()


class Remembered(Generic[V]):
    """Values by fingerprint, each until a time of its own (of `time.monotonic`); the least used go when it is full."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[bytes, tuple[float, V]] = OrderedDict()

    def get(self, key: bytes) -> V | None:
        found = self._values.get(key)
        if found is None:
            return None
        until, value = found
        if until <= time.monotonic():
            del self._values[key]
            return None
        self._values.move_to_end(key)
        return value

    def put(self, key: bytes, value: V, seconds: float) -> None:
        self._values[key] = (time.monotonic() + seconds, value)
        self._values.move_to_end(key)
        while len(self._values) > self._size:
            self._values.popitem(last=False)

    def __len__(self) -> int:
        return len(self._values)


class Shared(Generic[V]):
    """Questions in progress: who asks the same waits for the same answer."""

    def __init__(self) -> None:
        self._asked: dict[bytes, asyncio.Task[V]] = {}

    async def ask(self, key: bytes, question: Callable[[], Awaitable[V]]) -> V:
        """The answer to `question`, or to the equal one that is being asked. A caller that leaves ends nobody's."""
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(_answer(question))
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    def _forget(self, key: bytes, done: asyncio.Task[V]) -> None:
        del self._asked[key]
        if not done.cancelled():
            done.exception()  # told to whoever waits; nobody may be left


async def _answer(question: Callable[[], Awaitable[V]]) -> V:
    return await question()
