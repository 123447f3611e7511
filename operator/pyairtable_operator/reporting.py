"""What people and Prometheus hear of a pass: Events for what changed, and the count of conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pyairtable_operator import usage
from pyairtable_operator.applying import Outcome
from pyairtable_operator.decide import Action, ActionKind, Claim, NamespaceClaim, plan_text
from pyairtable_operator.event_reasons import EVENT_REASONS, condition_events
from pyairtable_operator.events import Events
from pyairtable_operator.keys import Issued
from pyairtable_operator.manifests import ObjectKey
from pyairtable_operator.metrics import Metrics
from pyairtable_operator.spec import Meta, Workspace
from pyairtable_operator.status import inventory_keys


class Reporter:
    """Compares the status before and after a pass."""

    def __init__(self, events: Events, metrics: Metrics) -> None:
        """Keeps of each workspace only what was counted."""
        self._events = events
        self._metrics = metrics
        self._counted: dict[str, dict[str, str]] = {}
        self._usage: dict[str, tuple[Any, datetime]] = {}

    def did(
        self,
        workspace: Workspace,
        claim: NamespaceClaim,
        actions: Sequence[Action],
        outcome: Outcome,
        issued: Issued,
    ) -> None:
        """Tells what a pass did to objects. Those that are made for a new workspace are not worth an Event each."""
        if issued.event:
            self._send(workspace.meta, issued.event, issued.told)
        adopted = claim.claim is Claim.ADOPT and any(key.kind == "Namespace" for key in outcome.written)
        if adopted:
            self._send(workspace.meta, "NamespaceAdopted", f"namespace {workspace.namespace} was taken over")
        pruned = [
            action.key for action in actions if action.kind is ActionKind.DELETE and action.key in outcome.deleted
        ]
        if pruned:
            self._send(workspace.meta, "Pruned", f"deleted, being declared no more: {_named(pruned)}")
        if workspace.status.get("observedGeneration") != workspace.meta.generation:
            return
        known = inventory_keys(workspace)
        mended = [
            action.key
            for action in actions
            if action.key in outcome.written and (action.kind is not ActionKind.CREATE or action.key in known)
        ]
        if mended and not adopted:
            self._send(workspace.meta, "Repaired", f"put back as declared: {_named(mended)}")

    def tell(self, meta: Meta, previous: Mapping[str, Any], told: Mapping[str, Any], now: datetime) -> None:
        """Tells what is new in a status, and counts its conditions."""
        for event in condition_events(told["conditions"], previous.get("conditions") or ()):
            self._events.tell((meta.name, meta.uid), event.reason, event.note, event.type)
        before, after = ((status.get("credential") or {}).get("hash") for status in (previous, told))
        if before and after and before != after:
            self._send(meta, "CredentialRotated", "Airtable accepted the new token; it is in use")
        shown = told.get("usage")
        if shown and (limit := usage.crossed(shown, previous.get("usage"))):
            note = f"{shown['calls']} calls to Airtable this month: {limit} % of the budget is reached"
            self._send(meta, "UsageThreshold", note)
        if shown != previous.get("usage"):
            self._usage[meta.name] = (shown, now)
        self._count(meta.name, {item["type"]: item["status"] for item in told["conditions"]})

    def planned(self, workspace: Workspace, actions: Sequence[Action]) -> None:
        """Tells what would be done."""
        self._send(workspace.meta, "Planned", plan_text(actions))

    def accepted(self, workspace: Workspace, names: Sequence[str]) -> None:
        """Tells of BaseBindings whose changed schema was accepted."""
        for name in names:
            self._send(workspace.meta, "SchemaAccepted", f"BaseBinding {name}: the schema seen now is the accepted one")

    def namespace_deleted(self, workspace: Workspace) -> None:
        """Tells that the namespace is gone with the workspace."""
        self._send(workspace.meta, "NamespaceDeleted", f"namespace {workspace.namespace} was deleted")

    def namespace_retained(self, workspace: Workspace) -> None:
        """Tells that the namespace outlives the workspace."""
        note = f"namespace {workspace.namespace} stays, with its quota and policies, without the workspace's mark"
        self._send(workspace.meta, "NamespaceRetained", note)

    def without_platform(self, workspace: Workspace, error: Exception) -> None:
        """Tells that a deletion goes on although the platform could not be told."""
        note = f"the deletion goes on, and the platform is told when it is back: {error}"
        self._send(workspace.meta, "DeletedWithoutPlatform", note)

    def usage_written_at(self, name: str) -> datetime | None:
        """When status.usage was last written by this process."""
        entry = self._usage.get(name)
        return entry[1] if entry else None

    def forget(self, name: str) -> None:
        """It is gone."""
        self._count(name, {})
        self._counted.pop(name, None)
        self._usage.pop(name, None)

    def _send(self, meta: Meta, reason: str, note: str) -> None:
        self._events.tell((meta.name, meta.uid), reason, note, EVENT_REASONS[reason].type)

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


def _named(keys: Sequence[ObjectKey]) -> str:
    return ", ".join(str(key) for key in keys[:10]) + (" ..." if len(keys) > 10 else "")
