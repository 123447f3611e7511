"""Which failures of a step are worth another attempt, and when."""

from __future__ import annotations

from dataclasses import dataclass

from pyairtable_platform.common.errors import (
    Cancelled,
    Conflict,
    DeadlineExceeded,
    OutcomeUnknown,
    PyAirtableError,
    RateLimited,
    Reason,
    Unavailable,
)

PASSING = (Unavailable, DeadlineExceeded, RateLimited, Conflict, OutcomeUnknown, Cancelled)
"""Every step is keyed at its receiver: what may have happened can be asked for again."""

UNDO_ATTEMPTS = 20
"""Somebody must look when undoing is given up, so it is tried longer than doing."""


@dataclass(frozen=True)
class Backoff:
    """Seconds between attempts: doubled from `first` up to `longest`."""

    first: float = 0.2
    longest: float = 15.0
    longest_asked: float = 300.0
    """A receiver that asks for more patience than this is asked again all the same."""

    def seconds(self, attempt: int, error: PyAirtableError) -> float:
        """How long to wait after attempt number `attempt` (from 1) failed."""
        own = min(self.longest, self.first * 2.0 ** min(attempt - 1, 30))
        return max(own, min(error.retry_after or 0.0, self.longest_asked))


def is_worth_another(error: PyAirtableError, attempt: int, attempts: int, reasons: frozenset[Reason]) -> bool:
    """Whether a step that failed for the `attempt`th time of `attempts` is tried again."""
    return attempt < attempts and (isinstance(error, PASSING) or error.reason in reasons)
