"""Events: which reasons there are, and which of them a new status tells by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pyairtable_operator.reasons import READY, REASONS, STALLED

EventType = Literal["Normal", "Warning"]


@dataclass(frozen=True, slots=True)
class EventReason:
    """A stable reason of an Event; `doc` is for the handbook."""

    name: str
    type: EventType
    doc: str


EVENT_REASONS: Mapping[str, EventReason] = {
    row.name: row
    for row in (
        EventReason("NamespaceAdopted", "Normal", "A namespace that was there before was taken over."),
        EventReason("Repaired", "Warning", "Objects that somebody changed or deleted were put right."),
        EventReason("Pruned", "Normal", "Objects that are no longer declared were deleted."),
        EventReason("Planned", "Normal", "What would be done, while the annotation pyairtable.dev/plan asks for it."),
        EventReason("AccessKeyIssued", "Normal", "The first access key was made."),
        EventReason("AccessKeyRotated", "Normal", "A new access key was made, by age or on request."),
        EventReason("AccessKeyReplaced", "Warning", "The access Secret was tampered with; a new key was made."),
        EventReason("CredentialRotated", "Normal", "Airtable accepted a new token; it is in use."),
        EventReason("SchemaAccepted", "Normal", "A changed schema was accepted by annotation."),
        EventReason("UsageThreshold", "Warning", "Calls to Airtable reached a threshold of the budget."),
        EventReason("NamespaceDeleted", "Normal", "The namespace went with its workspace (deletionPolicy Delete)."),
        EventReason("NamespaceRetained", "Normal", "The namespace stays without its workspace."),
        EventReason("DeletedWithoutPlatform", "Warning", "The platform could not be told of a deletion."),
    )
}
"""Besides these, every reason of a condition that is False or Unknown may be that of an Event (condition_events)."""


@dataclass(frozen=True, slots=True)
class Event:
    """What to tell about a Workspace."""

    reason: str
    type: EventType
    note: str


def condition_events(shown: Sequence[Mapping[str, Any]], previous: Sequence[Mapping[str, Any]]) -> list[Event]:
    """One for each condition that now says something else than before. First passes (Pending) are not worth one."""
    before = {condition["type"]: (condition["status"], condition["reason"]) for condition in previous}
    return [
        _event(condition)
        for condition in shown
        if condition["reason"] != "Pending" and _is_news(condition, before.get(condition["type"]))
    ]


def _is_news(condition: Mapping[str, Any], before: tuple[str, str] | None) -> bool:
    name, status = condition["type"], condition["status"]
    if name == STALLED or before == (status, condition["reason"]):
        return False
    if name == READY:  # its reason is that of another condition, told there
        return condition["reason"] in ("Ready", "Suspended", "Deleting")
    return status != "True" or (before is not None and before[0] == "False")


def _event(condition: Mapping[str, Any]) -> Event:
    row = REASONS.get((condition["type"], condition["reason"]))
    warning = condition["status"] == "False" and condition["type"] != READY
    warning = warning or (condition["status"] == "Unknown" and row is not None and row.blocks)
    return Event(condition["reason"], "Warning" if warning else "Normal", condition["message"])
