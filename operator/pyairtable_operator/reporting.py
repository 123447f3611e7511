"""What people and Prometheus hear of a pass: Events for what changed, and the count of conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pyairtable_operator import usage
from pyairtable_operator.applying import Outcome
from pyairtable_operator.decide import Action, ActionKind
from pyairtable_operator.events import Events
from pyairtable_operator.keys import Issued
from pyairtable_operator.metrics import Metrics
from pyairtable_operator.spec import Workspace

_QUIET = ("Pending", "NotVerified", "EnforcementNotVerified", "PoliciesOff", "NotEnforced", "RotationPending")
"""Reasons that need no Event: they pass, or they are a choice."""


class Reporter:
    """Compares the status before and after a pass."""

    def __init__(self, events: Events, metrics: Metrics) -> None:
        """Keeps of each workspace only what was counted."""
        self._events = events
        self._metrics = metrics
        self._counted: dict[str, dict[str, str]] = {}
        self._usage: dict[str, tuple[Any, datetime]] = {}

    def did(self, workspace: Workspace, actions: Sequence[Action], outcome: Outcome, issued: Issued) -> None:
        """Tells of repairs and of keys. Objects that are made for a new workspace are not worth an Event each."""
        about = (workspace.name, workspace.uid)
        if issued.told and workspace.status.get("accessKey"):
            self._events.tell(about, "AccessKey", issued.told, action="IssueKey")
        if workspace.status.get("observedGeneration") != workspace.meta.generation:
            return
        mended = [action.key for action in actions if action.key in outcome.written]
        if mended:
            named = ", ".join(str(key) for key in mended[:10]) + (" ..." if len(mended) > 10 else "")
            self._events.tell(about, "Repaired", f"put back as declared: {named}", "Warning", "Repair")
        for action in actions:
            if action.kind is ActionKind.CONFLICT:
                managers = ", ".join(sorted({conflict.manager for conflict in action.conflicts}))
                self._events.tell(about, "Conflict", f"{action.key} is also declared by {managers}", "Warning")

    def tell(self, workspace: Workspace, told: Mapping[str, Any], now: datetime) -> None:
        """Tells of conditions that changed, and counts them."""
        before = {item["type"]: item for item in workspace.status.get("conditions") or ()}
        about = (workspace.name, workspace.uid)
        for item in told["conditions"]:
            old = before.get(item["type"])
            if old is not None and (old["status"], old["reason"]) == (item["status"], item["reason"]):
                continue
            self._changed(about, item, known=old is not None)
        if (limit := usage.crossed(told.get("usage"), workspace.status.get("usage"))) and "usage" in told:
            note = f"{told['usage']['calls']} calls to Airtable this month, {limit} % of the budget is reached"
            self._events.tell(about, "BudgetThreshold", note, "Warning")
        if told.get("usage") != workspace.status.get("usage"):
            self._usage[workspace.name] = (told.get("usage"), now)
        self._count(workspace.name, {item["type"]: item["status"] for item in told["conditions"]})

    def deleted(self, workspace: Workspace) -> None:
        """Tells that it is gone."""
        self._events.tell((workspace.name, workspace.uid), "Deleted", "the workspace was taken away", action="Delete")

    def usage_written_at(self, name: str) -> datetime | None:
        """When status.usage was last written by this process."""
        entry = self._usage.get(name)
        return entry[1] if entry else None

    def forget(self, name: str) -> None:
        """It is gone."""
        self._count(name, {})
        self._counted.pop(name, None)
        self._usage.pop(name, None)

    def _changed(self, about: tuple[str, str], item: Mapping[str, Any], *, known: bool) -> None:
        kind, reason = item["type"], item["reason"]
        if kind == "Ready":
            if item["status"] == "True":
                self._events.tell(about, "Ready", item["message"])
            elif reason in ("Suspended", "Deleting", "Planned"):
                self._events.tell(about, reason, item["message"])
        elif item["status"] != "True" and reason not in _QUIET and kind != "Stalled":
            self._events.tell(about, reason, f"{kind}: {item['message']}", "Warning")
        elif known and item["status"] == "True":
            self._events.tell(about, reason, f"{kind}: {item['message']}")

    def _count(self, name: str, conditions: dict[str, str]) -> None:
        before = self._counted.get(name, {})
        for kind in before.keys() | conditions.keys():
            old, new = before.get(kind), conditions.get(kind)
            if old == new:
                continue
            if old is not None:
                self._metrics.workspaces.labels(kind, old).dec()
            if new is not None:
                self._metrics.workspaces.labels(kind, new).inc()
        self._counted[name] = conditions
