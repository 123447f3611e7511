"""Conditions: what was found out, put together and carried from one status to the next (reasons: reasons.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyairtable_operator.reasons import READY, REASONS, STALLED, Reason
from pyairtable_operator.times import show_time

_MESSAGE_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out for a condition."""

    reason: Reason
    message: str


def finding(condition: str, reason: str, message: str = "") -> Finding:
    """A reason of the table, with a message for people (the table's sentence when there is nothing more to say)."""
    row = REASONS[condition, reason]
    message = message or row.doc
    return Finding(row, message if len(message) <= _MESSAGE_LENGTH else f"{message[: _MESSAGE_LENGTH - 4]} ...")


def complete(findings: Iterable[Finding], types: Sequence[str]) -> list[Finding]:
    """One for each type, in their order; Pending for those that nothing was found out about."""
    found = {item.reason.condition: item for item in findings}
    return [found.get(name) or finding(name, "Pending") for name in types]


def summary(
    findings: Sequence[Finding], *, suspended: bool = False, planned: bool = False, deleting: bool = False
) -> Finding:
    """Ready."""
    for reason, holds in (("Deleting", deleting), ("Planned", planned)):
        if holds:
            return finding(READY, reason)
    if first := next((item for item in findings if item.reason.blocks), None):
        row = first.reason
        return Finding(Reason(READY, row.name, "False", row.doc, True, row.terminal, row.retry_seconds), first.message)
    return finding(READY, "Suspended" if suspended else "Ready")


def stalled(findings: Sequence[Finding]) -> list[Finding]:
    """Condition Stalled (kstatus: no progress without a change), only while it holds."""
    first = next((item for item in findings if item.reason.terminal), None)
    if first is None:
        return []
    return [Finding(Reason(STALLED, first.reason.name, "True", first.reason.doc), first.message)]


def retry_after(findings: Iterable[Finding]) -> int | None:
    """Seconds after which it is worth trying again; None when that takes a change or the next verification."""
    delays = [item.reason.retry_seconds for item in findings if item.reason.retry_seconds is not None]
    return min(delays, default=None)


def merge(
    findings: Sequence[Finding], previous: Sequence[Mapping[str, Any]], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The conditions of a status; lastTransitionTime is kept while the status of a condition stays."""
    before = {condition.get("type"): condition for condition in previous}
    return [_condition(item, before.get(item.reason.condition), generation, now) for item in findings]


def _condition(item: Finding, before: Mapping[str, Any] | None, generation: int, now: datetime) -> dict[str, Any]:
    unchanged = before is not None and before.get("status") == item.reason.status and before.get("lastTransitionTime")
    return {
        "type": item.reason.condition,
        "status": item.reason.status,
        "reason": item.reason.name,
        "message": item.message,
        "lastTransitionTime": before["lastTransitionTime"] if before is not None and unchanged else show_time(now),
        "observedGeneration": generation,
    }
