"""Usage in the status: coarse, so that a busy workspace does not mean a busy API server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

THRESHOLDS = (50, 80, 95, 100)
"""Per cent of the budget; crossing one is told at once, and by an Event."""

INTERVAL = timedelta(hours=1)
"""Between two writes that cross no threshold."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Calls to Airtable in a calendar month (UTC), "2026-11"; a budget of 0 is none."""

    month: str
    calls: int
    budget: int

    @property
    def percent(self) -> int | None:
        return self.calls * 100 // self.budget if self.budget else None


def threshold(percent: int | None) -> int:
    """The highest threshold that was reached; 0 below the first."""
    return max((limit for limit in THRESHOLDS if percent is not None and percent >= limit), default=0)


def show_usage(usage: Usage) -> dict[str, Any]:
    """For status.usage."""
    shown: dict[str, Any] = {"month": usage.month, "calls": usage.calls}
    if usage.percent is not None:
        shown["percent"] = usage.percent
    return shown


def coarse(
    seen: Usage | None, previous: Mapping[str, Any] | None, written_at: datetime | None, now: datetime
) -> dict[str, Any] | None:
    """What status.usage is to be: what stands there, until a threshold is crossed, a month begins or an hour is over.

    `written_at`: when status.usage was last written (None: not known, then it counts as an hour ago).
    """
    if seen is None:
        return dict(previous) if previous else None
    shown = show_usage(seen)
    if not previous or previous.get("month") != seen.month:
        return shown
    if threshold(seen.percent) != threshold(previous.get("percent")) or (seen.percent is None) != (
        "percent" not in previous
    ):
        return shown
    recent = written_at is not None and timedelta(0) <= now - written_at < INTERVAL
    return dict(previous) if recent else shown


def crossed(shown: Mapping[str, Any] | None, previous: Mapping[str, Any] | None) -> int:
    """The threshold that a new status.usage crosses upwards, for an Event; 0 when none."""
    same_month = bool(shown and previous and shown["month"] == previous.get("month"))
    before = threshold(previous.get("percent")) if same_month and previous else 0
    after = threshold(shown.get("percent")) if shown else 0
    return after if after > before else 0
