"""The work queue: which workspaces want a pass, and when.

A key that is added while it waits is not added again; one that is added while a worker has it comes back when the
worker is done. First come, first served, so that no workspace starves another.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque

from pyairtable_operator.metrics import Metrics

FIRST_DELAY = 0.2
"""Seconds until the first repeat of what failed."""

LONGEST_DELAY = 300.0
"""Seconds between repeats at most."""


class WorkQueue:
    """Keys without duplicates, with delays and back-off per key. For one event loop."""

    def __init__(self, metrics: Metrics) -> None:
        """An empty queue."""
        self._metrics = metrics
        self._waiting: deque[str] = deque()
        self._since: dict[str, float] = {}
        self._working: set[str] = set()
        self._again: set[str] = set()
        self._failures: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: str) -> None:
        """Asks for a pass as soon as a worker is free."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._since:
            self._since[key] = time.monotonic()
            self._waiting.append(key)
            self._metrics.queue_depth.set(len(self._waiting))
            self._wake.set()

    def add_after(self, key: str, delay: float) -> None:
        """Asks for a pass in `delay` seconds; an earlier one that is planned already stays."""
        loop = asyncio.get_running_loop()
        at = loop.time() + max(delay, 0.0)
        planned = self._timers.get(key)
        if planned is not None:
            if planned.when() <= at:
                return
            planned.cancel()
        self._timers[key] = loop.call_at(at, self._due, key)

    def retry(self, key: str, at_least: float = 0.0) -> float:
        """Asks for a pass after a failure and returns in how many seconds: doubled with each failure, with jitter."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        longest = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures, 20))
        delay = max(at_least, longest * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing
        self.add_after(key, delay)
        return delay

    def succeeded(self, key: str) -> None:
        """The next failure of this key is its first again."""
        self._failures.pop(key, None)

    def forget(self, key: str) -> None:
        """The workspace is gone: no planned pass, no memory of failures."""
        self._failures.pop(key, None)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    async def get(self) -> str:
        """The next key; `done` must follow."""
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        key = self._waiting.popleft()
        self._metrics.queue_depth.set(len(self._waiting))
        self._metrics.queue_seconds.observe(time.monotonic() - self._since.pop(key))
        self._working.add(key)
        return key

    def done(self, key: str) -> None:
        """The worker has finished with it."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _due(self, key: str) -> None:
        self._timers.pop(key, None)
        self.add(key)
