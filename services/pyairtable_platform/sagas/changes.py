"""Waiting for a saga to change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial

from pyairtable_platform.common.errors import Unavailable
from pyairtable_platform.common.wakeups import Wakeups, patiently, until_woken

from .model import Saga
from .store import SagaStore

LOOK_FOR_CANCELLATION_SECONDS = 5.0


class Changes:
    """Sagas as they change, whichever replica carries them out. `wakeups` are by saga."""

    def __init__(self, store: SagaStore, wakeups: Wakeups) -> None:
        self._store = store
        self._wakeups = wakeups
        self._is_closed = False

    def close(self) -> None:
        """End all streams: this replica goes, another one has the same to tell."""
        self._is_closed = True
        self._wakeups.wake_all()

    async def follow(self, saga: Saga, still: Callable[[], Awaitable[None]] | None = None) -> AsyncIterator[Saga]:
        """The saga, and again after each change, until it has ended. `still` is asked from time to time, and raises
        when whoever follows may not any more."""
        with self._wakeups.waiting_for(saga.saga_id) as woken:
            yield saga
            while not saga.state.has_ended and not self._is_closed:
                woken.clear()  # before looking: what is written from here on wakes us again
                latest = await patiently(partial(self._store.read, saga.saga_id))
                if latest is None:
                    return
                if latest.updated_at != saga.updated_at:
                    saga = latest
                    yield saga
                if not saga.state.has_ended:
                    await until_woken(woken)
                    if still is not None:
                        await still()

    async def end_of(self, saga: Saga, seconds: float) -> Saga:
        """The saga when it has ended, or as it is after some seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for latest in self.follow(saga):
                    saga = latest
        return saga

    async def asked(self, saga_id: str) -> None:
        """Return when somebody asks to cancel a saga, or has. While the database is away nobody does."""
        with self._wakeups.waiting_for(saga_id) as woken:
            while True:
                woken.clear()
                with suppress(Unavailable):
                    if await self._store.is_cancel_asked(saga_id):
                        return
                await until_woken(woken, LOOK_FOR_CANCELLATION_SECONDS)

    async def is_asked(self, saga_id: str) -> bool:
        """Whether somebody has asked to cancel a saga."""
        return await self._store.is_cancel_asked(saga_id)
