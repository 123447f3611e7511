"""Reading a run's log as it grows, from any event on, at any replica."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from pyairtable_platform.common.wakeups import Wakeups, patiently, until_woken

from .entities import RunEvent, Whose
from .store.runs import EVENTS_AT_ONCE, RunStore


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
                ended, events = await patiently(partial(self._runs.events_after, whose, run_id, after))
                for event in events:
                    yield event
                    after = event.id
                    if event.kind.is_end:
                        return
                if ended and not events:
                    return
                if len(events) < EVENTS_AT_ONCE:
                    await until_woken(woken)
