"""What has to be done so that the cluster holds what a Workspace declares: a function of what was observed.

The access Secret is not here but in access_keys, since its content is not kept in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from pyairtable_operator import compare, constants
from pyairtable_operator.compare import Change, Conflict, Observed
from pyairtable_operator.manifests.manifest import Manifest, ObjectKey
from pyairtable_operator.spec import Workspace


class ActionKind(StrEnum):
    """What to do with an object; the values stand in status.plan."""

    CREATE = "Create"
    UPDATE = "Update"
    RECREATE = "Recreate"
    """Delete (with uid precondition), then create: a field that cannot change has to."""
    DELETE = "Delete"
    """With uid precondition."""
    WAIT = "Wait"
    """It is being deleted; come back when it is gone."""
    CONFLICT = "Conflict"
    """Another server-side applier declares fields of ours with other values: report it, write nothing."""


@dataclass(frozen=True, slots=True)
class Action:
    """A step. `uid` is that of the object there is; `fields` say for people what differs, without secrets."""

    kind: ActionKind
    key: ObjectKey
    manifest: Manifest | None = None
    uid: str = ""
    fields: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


class Claim(StrEnum):
    """What a namespace is to a workspace."""

    ABSENT = "Absent"
    """Create it, with a plain create that fails when somebody was quicker."""
    OURS = "Ours"
    ADOPT = "Adopt"
    """Somebody else's, whose annotation lets this workspace take it over."""
    NOT_OURS = "NotOurs"
    TERMINATING = "Terminating"
    NOT_ALLOWED = "NotAllowed"
    """A name of the cluster's or the platform's own."""


@dataclass(frozen=True, slots=True)
class NamespaceClaim:
    """The verdict; `adopted` is true for a namespace that must outlive the workspace."""

    claim: Claim
    adopted: bool = False
    holder: str = ""
    """The workspace that it is labelled for, when that is another."""

    @property
    def usable(self) -> bool:
        return self.claim in (Claim.ABSENT, Claim.OURS, Claim.ADOPT)


def claim_namespace(
    workspace: Workspace,
    kept: bytes | None,
    inventory: Collection[ObjectKey],
    reserved: Collection[str] = (),
) -> NamespaceClaim:
    """`kept`: essence of the namespace by a live read, None when there is none; `reserved`: names never taken."""
    name = workspace.namespace
    if name in reserved or name == "default" or name.startswith(("kube-", "pyairtable-")):
        return NamespaceClaim(Claim.NOT_ALLOWED)
    if kept is None:
        return NamespaceClaim(Claim.ABSENT)
    observed = compare.read(kept)
    holder = observed.labels.get(constants.WORKSPACE_LABEL, "")
    mine = observed.owner_uid == workspace.uid or _lost_its_mark(workspace, observed, inventory)
    if mine:
        adopted = observed.annotations.get(constants.ADOPTED_ANNOTATION) == "true"
        return NamespaceClaim(Claim.TERMINATING if observed.terminating else Claim.OURS, adopted)
    if observed.annotations.get(constants.ADOPT_ANNOTATION) == workspace.name and holder in ("", workspace.name):
        return NamespaceClaim(Claim.TERMINATING if observed.terminating else Claim.ADOPT, adopted=True)
    return NamespaceClaim(Claim.NOT_OURS, holder=holder)


def _lost_its_mark(workspace: Workspace, observed: Observed, inventory: Collection[ObjectKey]) -> bool:
    """Somebody took the annotation off, not the label: tampering, to be mended. Both off is a release by hand."""
    labelled = observed.labels.get(constants.WORKSPACE_LABEL) == workspace.name
    return not observed.owner_uid and labelled and observed.key in inventory


def plan(
    workspace: Workspace,
    desired: Sequence[Manifest],
    observed: Mapping[ObjectKey, bytes],
    inventory: Collection[ObjectKey],
) -> list[Action]:
    """Steps in order: first what must go, then what must come. Empty when all is as it should be.

    `desired` is all of tenant_objects and binding_objects; `observed` the essences of what is labelled for the
    workspace, and of what is desired and there without a label.
    """
    wanted = {manifest.key for manifest in desired}
    orphans = [
        Action(ActionKind.DELETE, entry.key, uid=entry.uid)
        for entry in (compare.read(kept) for key, kept in sorted(observed.items()) if key not in wanted)
        if _is_orphan(workspace, entry, inventory)
    ]
    steps = (step(manifest, observed.get(manifest.key)) for manifest in desired)
    return [*orphans, *(action for action in steps if action is not None)]


def _is_orphan(workspace: Workspace, entry: Observed, inventory: Collection[ObjectKey]) -> bool:
    if entry.key.kind in ("Namespace", "Secret") or entry.terminating or entry.workspace != workspace.name:
        return False
    if entry.key.namespace not in ("", workspace.namespace):
        return False
    return entry.owner_uid == workspace.uid or (not entry.owner_uid and entry.key in inventory)


def step(manifest: Manifest, kept: bytes | None) -> Action | None:
    """What one object needs; None when it is as it should be. `kept` is None when there is no such object."""
    if kept is None:
        return Action(ActionKind.CREATE, manifest.key, manifest)
    observed = compare.read(kept)
    if observed.terminating:
        return Action(ActionKind.WAIT, manifest.key, manifest, observed.uid)
    found = compare.changes(manifest, observed)
    if not found:
        return None
    disputed = tuple(compare.conflicts(found, observed))
    if disputed:
        kind = ActionKind.CONFLICT
    elif compare.needs_new_object(manifest.kind, found):
        kind = ActionKind.RECREATE
    else:
        kind = ActionKind.UPDATE
    fields = tuple(_describe(change) for change in found)
    return Action(kind, manifest.key, manifest, observed.uid, fields, disputed)


def deletions(workspace: Workspace, observed: Iterable[bytes]) -> list[Action]:
    """What goes with a workspace, in order: the access Secret, bindings, the rest; never the namespace itself."""
    entries = [compare.read(kept) for kept in observed]
    mine = [
        entry
        for entry in entries
        if entry.key.kind != "Namespace" and entry.workspace == workspace.name and entry.owner_uid == workspace.uid
    ]
    first = ("Secret", "BaseBinding", "RoleBinding", "ClusterRoleBinding")
    order = {kind: place for place, kind in enumerate(first)}
    mine.sort(key=lambda entry: (order.get(entry.key.kind, len(first)), entry.key))
    return [Action(ActionKind.DELETE, entry.key, uid=entry.uid) for entry in mine if not entry.terminating]


def plan_status(actions: Sequence[Action]) -> list[dict[str, Any]]:
    """For status.plan, within the bounds of the schema."""
    return [_plan_entry(action) for action in actions[:300]]


def plan_text(actions: Sequence[Action]) -> str:
    """For an Event: one line, at most 900 characters (an Event takes 1024)."""
    if not actions:
        return "nothing would be done"
    text = "; ".join(
        f"{action.kind.lower()} {action.key}" + (f" ({', '.join(action.fields)})" if action.fields else "")
        for action in actions
    )
    return text if len(text) <= 900 else f"{text[:860]} ... ({len(actions)} steps in all, see status.plan)"


def _plan_entry(action: Action) -> dict[str, Any]:
    entry: dict[str, Any] = {"action": action.kind.value, "kind": action.key.kind, "name": action.key.name}
    if action.key.namespace:
        entry["namespace"] = action.key.namespace
    if action.fields:
        entry["fields"] = [field[:500] for field in action.fields[:100]]
    return entry


def _describe(change: Change) -> str:
    return f"{change.field}: {_short(change.observed)} -> {_short(change.desired)}"


def _short(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."
