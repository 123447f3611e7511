"""Waiting for a saga to change: NOTIFY wakes at once, and whoever waits looks by itself from time to time."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator

from pyairtable_platform.common.errors import Unavailable

from .model import Saga
from .store import SagaStore

LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 15.0
"""So long the database may be away before whoever follows a saga is told."""


class Changes:
    """Sagas as they change, whichever replica carries them out."""

    def __init__(self, store: SagaStore) -> None:
        self._store = store
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._is_closed = False

    def heard(self, saga_id: str) -> None:
        """A saga changed."""
        for event in self._waiting.get(saga_id, ()):
            event.set()

    def missed(self) -> None:
        """Any saga may have changed."""
        for events in self._waiting.values():
            for event in events:
                event.set()

    def close(self) -> None:
        """End all streams: this replica goes, another one has the same to tell."""
        self._is_closed = True
        self.missed()

    async def follow(self, saga: Saga) -> AsyncIterator[Saga]:
        """The saga, and again after each change, until it has ended."""
        woken = asyncio.Event()
        self._waiting[saga.saga_id].add(woken)
        try:
            yield saga
            while not saga.state.has_ended and not self._is_closed:
                woken.clear()  # before looking: what is written from here on wakes us again
                latest = await self._look(saga.saga_id)
                if latest is None:
                    return
                if latest.updated_at != saga.updated_at:
                    saga = latest
                    yield saga
                if not saga.state.has_ended:
                    await _wait(woken, LOOK_SECONDS)
        finally:
            self._waiting[saga.saga_id].discard(woken)
            if not self._waiting[saga.saga_id]:
                del self._waiting[saga.saga_id]

    async def end_of(self, saga: Saga, seconds: float) -> Saga:
        """The saga when it has ended, or as it is after some seconds."""
        try:
            async with asyncio.timeout(seconds):
                async for latest in self.follow(saga):
                    saga = latest
        except TimeoutError:
            pass
        return saga

    async def _look(self, saga_id: str) -> Saga | None:
        patience_ends = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await self._store.read(saga_id)
            except Unavailable:
                if time.monotonic() > patience_ends:
                    raise
            await asyncio.sleep(LOOK_SECONDS / 2)


async def _wait(woken: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        return
