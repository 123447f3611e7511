"""Waking whoever waits for something in the database: in this process at once, in others by LISTEN/NOTIFY.

Only a shortcut. Every waiter also looks by itself from time to time, so that a lost notification costs a moment.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Wakeups:
    """Events by key: a run's id for its readers, `cancel:` and the id for its worker."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def waiting_for(self, key: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever `key` is woken; the caller clears it."""
        event = asyncio.Event()
        self._waiting[key].add(event)
        try:
            yield event
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    def wake(self, key: str) -> None:
        """Wake those who wait for `key`."""
        for event in self._waiting.get(key, ()):
            event.set()

    def wake_all(self) -> None:
        """Wake everybody: something may have been missed."""
        for events in self._waiting.values():
            for event in events:
                event.set()
