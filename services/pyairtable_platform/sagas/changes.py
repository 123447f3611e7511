"""Waiting for a saga to change: NOTIFY wakes at once, and whoever waits looks by itself from time to time."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from pyairtable_platform.common.errors import Unavailable

from .model import Saga
from .store import SagaStore

LOOK_SECONDS = 1.0
LOOK_FOR_CANCELLATION_SECONDS = 5.0
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

    async def follow(self, saga: Saga, still: Callable[[], Awaitable[None]] | None = None) -> AsyncIterator[Saga]:
        """The saga, and again after each change, until it has ended. `still` is asked from time to time, and raises
        when whoever follows may not any more."""
        with self._woken(saga.saga_id) as woken:
            yield saga
            while not saga.state.has_ended and not self._is_closed:
                woken.clear()  # before looking: what is written from here on wakes us again
                latest = await self._look(saga.saga_id)
                if latest is None:
                    return
                if latest.updated_at != saga.updated_at:
                    saga = latest
                    yield saga
                else:
                    await _wait(woken, LOOK_SECONDS)
                    if still is not None:
                        await still()

    async def end_of(self, saga: Saga, seconds: float) -> Saga:
        """The saga when it has ended, or as it is after some seconds."""
        try:
            async with asyncio.timeout(seconds):
                async for latest in self.follow(saga):
                    saga = latest
        except TimeoutError:
            pass
        return saga

    async def asked(self, saga_id: str) -> None:
        """Return when somebody asks to cancel a saga, or has. While the database is away nobody does."""
        with self._woken(saga_id) as woken:
            while True:
                woken.clear()
                with suppress(Unavailable):
                    if await self._store.is_cancel_asked(saga_id):
                        return
                await _wait(woken, LOOK_FOR_CANCELLATION_SECONDS)

    async def is_asked(self, saga_id: str) -> bool:
        """Whether somebody has asked to cancel a saga."""
        return await self._store.is_cancel_asked(saga_id)

    @contextmanager
    def _woken(self, saga_id: str) -> Iterator[asyncio.Event]:
        """Set when the saga may have changed."""
        woken = asyncio.Event()
        self._waiting[saga_id].add(woken)
        try:
            yield woken
        finally:
            self._waiting[saga_id].discard(woken)
            if not self._waiting[saga_id]:
                del self._waiting[saga_id]

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
