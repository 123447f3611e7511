"""Reading a run's log as it grows, from any event on, at any replica."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from pyairtable_platform.common.errors import Unavailable

from .entities import RunEvent, Whose
from .store.runs import EVENTS_AT_ONCE, RunStore
from .wakeups import Wakeups

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 15.0  # how long the database may be away before a reader is told


class LogReader:
    """Follows runs."""

    def __init__(self, runs: RunStore, wakeups: Wakeups) -> None:
        self._runs = runs
        self._wakeups = wakeups

    async def follow(self, whose: Whose, run_id: str, after: int = 0) -> AsyncIterator[RunEvent]:
        """Yield every event after an id, in order, until the run has ended.

        Raises NotFound (also when the session is deleted meanwhile) and Unavailable.
        """
        with self._wakeups.waiting_for(run_id) as woken:
            while True:
                woken.clear()  # before looking: what is written from here on wakes us again
                ended, events = await self._look(whose, run_id, after)
                for event in events:
                    yield event
                    after = event.id
                    if event.kind.is_end:
                        return
                if ended and not events:
                    return
                if len(events) < EVENTS_AT_ONCE:
                    await _wait(woken)

    async def _look(self, whose: Whose, run_id: str, after: int) -> tuple[bool, list[RunEvent]]:
        """Read on; a database that is away for a moment is no reason to end a stream that may go on."""
        patience_ends = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await self._runs.events_after(whose, run_id, after)
            except Unavailable:
                if time.monotonic() > patience_ends:
                    raise
            await asyncio.sleep(POLL_SECONDS / 4)


async def _wait(woken: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL_SECONDS):
            await woken.wait()
    except TimeoutError:
        return
