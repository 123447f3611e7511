"""Records that this process has reported as made, so that no other write takes one for its own."""

from __future__ import annotations

from collections.abc import Iterable

from .limiter import Clock

_KEEP_SECONDS = 600.0
_KEEP_AT_MOST = 50_000
"""Airtable's five batches of ten a second fill it in no less than a quarter of an hour for one base."""


class Reported:
    """Ids of records that a write has reported as created, for as long as a look-up may find them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def add(self, record_ids: Iterable[str]) -> None:
        now = self._clock()
        for record_id in record_ids:
            self._until.pop(record_id, None)  # to the end: the order is that of expiry
            self._until[record_id] = now + _KEEP_SECONDS
        while self._until:
            oldest = next(iter(self._until))
            if self._until[oldest] > now and len(self._until) <= _KEEP_AT_MOST:
                return
            del self._until[oldest]

    def __contains__(self, record_id: str) -> bool:
        return record_id in self._until
