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


def summary(
    findings: Sequence[Finding], *, suspended: bool = False, planned: bool = False, deleting: str = ""
) -> Finding:
    """Ready. `deleting`: how far a deletion got, in words; empty: the object is not being deleted."""
    if deleting:
        return finding(READY, "Deleting", deleting)
    if planned:
        return finding(READY, "Planned")
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
    findings: Sequence[Finding],
    types: Sequence[str],
    previous: Sequence[Mapping[str, Any]],
    generation: int,
    now: datetime,
    **ready: Any,
) -> list[dict[str, Any]]:
    """The conditions of a status: one of each type, then Ready (`ready`: as for summary), then Stalled while it holds.

    A type about which nothing was found out keeps its condition with the generation it speaks of, or is Pending.
    lastTransitionTime stays while the status of a condition does.
    """
    before = {condition.get("type"): condition for condition in previous}
    found = {item.reason.condition: item for item in findings}
    told = [found.get(name) or _carried(name, before.get(name)) for name in types]
    merged = []
    for item in [*told, summary(told, **ready), *stalled(told)]:
        name = item.reason.condition
        old = before.get(name)
        spoken = generation if name in found or name not in types or old is None else old.get("observedGeneration", 0)
        merged.append(_condition(item, old, spoken, now))
    return merged


def _carried(name: str, before: Mapping[str, Any] | None) -> Finding:
    row = REASONS.get((name, before.get("reason", ""))) if before is not None else None
    return finding(name, "Pending") if row is None or before is None else Finding(row, before.get("message", ""))


def _condition(item: Finding, before: Mapping[str, Any] | None, generation: int, now: datetime) -> dict[str, Any]:
    same = before is not None and before.get("status") == item.reason.status
    since = before.get("lastTransitionTime") if before is not None and same else None
    return {
        "type": item.reason.condition,
        "status": item.reason.status,
        "reason": item.reason.name,
        "message": item.message,
        "lastTransitionTime": since or show_time(now),
        "observedGeneration": generation,
    }
