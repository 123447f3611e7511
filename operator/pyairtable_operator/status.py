"""The status of a Workspace: what was found out, laid over what stood there; nothing new means not one byte new."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pyairtable_operator import access_keys, conditions
from pyairtable_operator.access_keys import KeyRecord
from pyairtable_operator.conditions import Finding
from pyairtable_operator.credentials import CredentialVerdict, Verification
from pyairtable_operator.findings import invalid_spec
from pyairtable_operator.manifests.manifest import ObjectKey
from pyairtable_operator.reasons import READY, WORKSPACE_TYPES
from pyairtable_operator.spec import Meta, Workspace, parse_meta
from pyairtable_operator.times import parse_time, show_time

VERIFIED_EVERY = timedelta(hours=1)
"""How often a time of verification is written again while it confirms what is known."""

_INVENTORY_SIZE = 300
_DERIVED = {"observedGeneration", "phase", "plan", "conditions"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a pass found out; a part that it did not get to is left out and keeps what the status says of it."""

    findings: tuple[Finding, ...] = ()
    credential: CredentialVerdict | None = None
    verification: Verification | None = None
    key: KeyRecord | None = None
    bases: str | None = None
    usage: Mapping[str, Any] | None = None
    """From usage.coarse."""
    inventory: Sequence[Mapping[str, Any]] | None = None
    """From inventory()."""
    plan: Sequence[Mapping[str, Any]] | None = None
    """From decide.plan_status; None: no plan is shown."""
    deleting: str = ""
    """How far a deletion got, in words."""


def workspace_status(workspace: Workspace, facts: Facts, now: datetime) -> dict[str, Any]:
    """The whole status, to be written when it differs from workspace.status."""
    previous = workspace.status
    shown = {
        "namespace": workspace.namespace,
        "credential": _credential(facts, previous.get("credential"), now),
        "accessKey": previous.get("accessKey") if facts.key is None else access_keys.status_of(facts.key, now),
        "bases": previous.get("bases") if facts.bases is None else facts.bases,
        "usage": previous.get("usage") if facts.usage is None else dict(facts.usage),
        "inventory": previous.get("inventory") if facts.inventory is None else list(facts.inventory),
        "plan": list(facts.plan) if facts.plan is not None else None,
    }
    ready = {"suspended": workspace.spec.suspend, "planned": facts.plan is not None, "deleting": facts.deleting}
    return _status(workspace.meta, previous, facts.findings, shown, now, ready)


def invalid_status(body: Mapping[str, Any], error: str, now: datetime) -> dict[str, Any]:
    """The status of a Workspace whose spec raised InvalidSpec: all that was stays, Ready says what is wrong."""
    previous = body.get("status") or {}
    kept = {name: value for name, value in previous.items() if name not in _DERIVED}
    return _status(parse_meta(body), previous, (invalid_spec(error),), kept, now, {})


def inventory(
    objects: Iterable[tuple[ObjectKey, str]],
    written: Collection[ObjectKey],
    previous: Sequence[Mapping[str, Any]],
    now: datetime,
) -> list[dict[str, Any]]:
    """For status.inventory. `objects`: those that are there, with their hashes; `written`: by this pass."""
    before = {_key(entry): entry for entry in previous}
    entries = []
    for key, digest in objects:
        old = before.get(key)
        kept = old is not None and old.get("hash") == digest and key not in written
        entry = {"kind": key.kind, "name": key.name}
        if key.namespace:
            entry["namespace"] = key.namespace
        applied_at = old.get("appliedAt") if old is not None and kept else None
        entries.append(entry | {"hash": digest, "appliedAt": applied_at or show_time(now)})
    return entries[:_INVENTORY_SIZE]


def inventory_keys(workspace: Workspace) -> frozenset[ObjectKey]:
    """The objects that an earlier pass made, by the status."""
    return frozenset(_key(entry) for entry in workspace.status.get("inventory") or ())


def phase(shown: Sequence[Mapping[str, Any]]) -> str:
    """A word for columns and field selectors, from the conditions alone."""
    by_type = {condition["type"]: condition for condition in shown}
    ready = by_type[READY]
    if ready["reason"] in ("Deleting", "Suspended", "Ready"):
        return str(ready["reason"])
    failing = any(by_type[name]["status"] == "False" and name != READY for name in by_type if name in WORKSPACE_TYPES)
    return "Degraded" if failing and ready["reason"] != "Planned" else "Pending"


def _status(
    meta: Meta,
    previous: Mapping[str, Any],
    findings: Sequence[Finding],
    shown: Mapping[str, Any],
    now: datetime,
    ready: Mapping[str, Any],
) -> dict[str, Any]:
    merged = conditions.merge(
        findings, WORKSPACE_TYPES, previous.get("conditions") or (), meta.generation, now, **ready
    )
    status = {"observedGeneration": meta.generation, "phase": phase(merged), **shown, "conditions": merged}
    return {name: value for name, value in status.items() if value is not None}


def _credential(facts: Facts, previous: Mapping[str, Any] | None, now: datetime) -> Mapping[str, Any] | None:
    verdict, answer = facts.credential, facts.verification
    if verdict is None:
        return previous
    if not verdict.in_use:
        return None
    confirmed = answer is not None and not answer.problem and answer.version == verdict.in_use
    if answer is None or not confirmed:
        return previous
    seen = {"hash": answer.version, "verifiedAt": show_time(answer.at)}
    if answer.user_id:
        seen["userId"] = answer.user_id
    return previous if previous is not None and says_the_same(seen, previous, "verifiedAt") else seen


def says_the_same(seen: Mapping[str, Any], previous: Mapping[str, Any], time: str) -> bool:
    """Whether only the field `time` is newer, and by less than VERIFIED_EVERY."""
    one, other = parse_time(seen[time]), parse_time(previous.get(time, ""))
    recent = one is not None and other is not None and abs(one - other) < VERIFIED_EVERY
    return recent and {**seen, time: ""} == {**previous, time: ""}


def _key(entry: Mapping[str, Any]) -> ObjectKey:
    return ObjectKey(entry["kind"], entry.get("namespace", ""), entry["name"])
