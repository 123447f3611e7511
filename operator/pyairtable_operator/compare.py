"""Whether an object in the cluster is as it should be, by what the watches told: no API call, no false alarm.

An object that is observed is kept as its essence: bytes with what can matter here and no secret. Labels, annotations
and fields that somebody added beside ours are not ours to take away, unless they widen rights: there the desired value
is the whole value (WHOLE).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from pyairtable_operator import constants
from pyairtable_operator.manifests.manifest import Manifest, ObjectKey
from pyairtable_operator.quantities import same_quantity

Path = tuple[str, ...]

WHOLE: Mapping[str, tuple[Path, ...]] = {
    "Role": (("rules",),),
    "ClusterRole": (("rules",), ("aggregationRule",)),
    "RoleBinding": (("roleRef",), ("subjects",)),
    "ClusterRoleBinding": (("roleRef",), ("subjects",)),
    "NetworkPolicy": (("spec",),),
    "LimitRange": (("spec",),),
    # A further key of hard only limits more, unless it was ours (Observed.limited). A scope limits what is counted.
    "ResourceQuota": (("spec", "scopes"), ("spec", "scopeSelector")),
    # A Secret that cannot change cannot be rotated.
    "Secret": (("immutable",),),
}
"""Fields in which anything that is not desired is a difference, by kind."""

FIXED: Mapping[str, tuple[Path, ...]] = {
    "ClusterRole": (("aggregationRule",),),
    "RoleBinding": (("roleRef",),),
    "ClusterRoleBinding": (("roleRef",),),
    "ResourceQuota": (("spec", "scopes"), ("spec", "scopeSelector")),
    "BaseBinding": (("spec", "baseId"),),
    "Secret": (("type",), ("immutable",)),
}
"""Fields that the API server does not let change, or that server-side apply cannot take off: made anew instead."""

_HARD: Path = ("spec", "hard")
_QUANTITIES = {"ResourceQuota", "LimitRange"}
_SETS = {("BaseBinding", ("spec", "tables"))}
_KEPT_PREFIXES = (f"{constants.GROUP}/", "app.kubernetes.io/", "pod-security.kubernetes.io/")
_NOT_CONTENT = {"apiVersion", "kind", "metadata", "status"}
_KEY = re.compile(r"pya_([a-z0-9]{12})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is not as it should be."""

    path: Path
    observed: Any
    desired: Any

    @property
    def field(self) -> str:
        """The path for people: spec.hard[requests.cpu]."""
        first, *rest = self.path
        return first + "".join(f"[{part}]" if re.search(r"\W", part) else f".{part}" for part in rest)


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that another server-side applier declares with another value."""

    manager: str
    field: str


@dataclass(frozen=True, slots=True)
class Observed:
    """An essence, read."""

    key: ObjectKey
    uid: str
    terminating: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    content: Mapping[str, Any]
    appliers: Mapping[str, Any]
    written_at: str
    key_id: str
    limited: tuple[str, ...] = ()
    """Keys of a quota that we set."""

    @property
    def workspace(self) -> str:
        """Name of the workspace that it is labelled for by us; empty when it is not."""
        ours = self.labels.get(constants.MANAGED_BY_LABEL) == constants.FIELD_MANAGER
        return self.labels.get(constants.WORKSPACE_LABEL, "") if ours else ""

    @property
    def owner_uid(self) -> str:
        """metadata.uid of the Workspace it was made for; empty when it does not say."""
        return self.annotations.get(constants.OWNER_UID_ANNOTATION, "")


def essence(body: Mapping[str, Any]) -> bytes:
    """What is kept of an object that the API server sent; equal bytes mean that nothing changed that counts.

    Values of a Secret are kept as the SHA-256 of their content only.
    """
    meta = body["metadata"]
    kind = body["kind"]
    kept: dict[str, Any] = {
        "kind": kind,
        "name": meta["name"],
        "namespace": meta.get("namespace") or "",
        "uid": meta.get("uid") or "",
        "labels": _ours(meta.get("labels")),
        "annotations": _ours(meta.get("annotations")),
        "content": _content(kind, body),
    }
    if meta.get("deletionTimestamp"):
        kept["terminating"] = True
    managers = meta.get("managedFields") or ()
    # Who writes managedFields himself may leave the manager out.
    foreign = [entry for entry in managers if _is_foreign(entry)]
    if appliers := {entry.get("manager") or "unknown": entry.get("fieldsV1") or {} for entry in foreign}:
        kept["appliers"] = appliers
    if kind == "ResourceQuota":
        kept["limited"] = sorted({name for entry in managers if _is_own(entry) for name in _limited(entry)})
    if kind == "Secret":
        kept["written_at"] = max((entry.get("time") or "" for entry in managers if _is_own(entry)), default="")
        kept["key_id"] = _key_id(body)
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


def read(kept: bytes) -> Observed:
    """The other way round."""
    fields = orjson.loads(kept)
    return Observed(
        key=ObjectKey(fields["kind"], fields["namespace"], fields["name"]),
        uid=fields["uid"],
        terminating=fields.get("terminating", False),
        labels=fields["labels"],
        annotations=fields["annotations"],
        content=fields["content"],
        appliers=fields.get("appliers", {}),
        written_at=fields.get("written_at", ""),
        key_id=fields.get("key_id", ""),
        limited=tuple(fields.get("limited", ())),
    )


def differences(manifest: Manifest, kept: bytes) -> list[str]:
    """Paths of the fields that are not as desired, for example spec.hard.pods; none: nothing to write."""
    return [change.field for change in changes(manifest, read(kept))]


def changes(manifest: Manifest, observed: Observed) -> list[Change]:
    """Every field that is not as desired, in order of the manifest."""
    kind = manifest.kind
    meta = manifest.body["metadata"]
    desired = _content(kind, manifest.body)
    found = [
        *_walk(kind, ("metadata", "labels"), meta["labels"], observed.labels),
        *_walk(kind, ("metadata", "annotations"), meta["annotations"], observed.annotations),
        *_walk(kind, (), desired, observed.content),
    ]
    for path in WHOLE.get(kind, ()):
        found += _walk(kind, path, _at(desired, path), _at(observed.content, path), whole=True)
    hard = _at(desired, _HARD) or {}
    for name in observed.limited:
        if name not in hard:
            found.append(Change((*_HARD, name), _at(observed.content, (*_HARD, name)), None))
    return list({change.path: change for change in found}.values())


def conflicts(found: list[Change], observed: Observed) -> list[Conflict]:
    """Those of the changes that another server-side applier declares. They are reported, not fought."""
    return [
        Conflict(manager, change.field)
        for change in found
        for manager, fields in sorted(observed.appliers.items())
        if _declares(fields, change.path)
    ]


def needs_new_object(kind: str, found: list[Change]) -> bool:
    """Whether a change cannot be applied to the object that is there."""
    return any(change.path[: len(path)] == path for change in found for path in FIXED.get(kind, ())) or any(
        (kind, change.path) in _SETS and _has_more(change) for change in found
    )


def _has_more(change: Change) -> bool:
    """What somebody added to a set (list type set) is his in server-side apply: leaving it out does not remove it."""
    return bool(set(change.observed or ()) - set(change.desired or ()))


def _walk(kind: str, path: Path, want: Any, have: Any, *, whole: bool = False) -> Iterator[Change]:
    if isinstance(want, dict) and isinstance(have, dict) and want:
        for name in [*want, *(sorted(have.keys() - want.keys()) if whole else ())]:
            yield from _walk(kind, (*path, name), want.get(name), have.get(name), whole=whole)
    elif not _same(kind, path, want, have):
        yield Change(path, have, want)


def _same(kind: str, path: Path, want: Any, have: Any) -> bool:
    want, have = _or_none(want), _or_none(have)
    if isinstance(want, dict) and isinstance(have, dict):
        return all(_same(kind, path, want.get(name), have.get(name)) for name in want.keys() | have.keys())
    if isinstance(want, list) and isinstance(have, list):
        if (kind, path) in _SETS:
            want, have = sorted(want), sorted(have)
        return len(want) == len(have) and all(_same(kind, path, *pair) for pair in zip(want, have, strict=True))
    return bool(want == have) or (kind in _QUANTITIES and same_quantity(want, have))


def _or_none(value: Any) -> Any:
    """The API server leaves an empty list out; an empty object means something (every pod) and stays."""
    return None if value == [] else value


def _at(content: Mapping[str, Any], path: Path) -> Any:
    value: Any = content
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _declares(fields: Any, path: Path) -> bool:
    """Whether the path is in a set of fields (Kubernetes docs: FieldsV1); what has no parts is owned as a whole."""
    for name in path:
        if f"f:{name}" not in fields:
            return False
        fields = fields[f"f:{name}"]
        if not fields:
            return True
    return True


def _content(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    content = {name: value for name, value in body.items() if name not in _NOT_CONTENT}
    if kind == "Namespace":
        content.pop("spec", None)  # its finalizers, which the API server keeps
    if kind == "ServiceAccount":
        return {name: value for name, value in content.items() if name == "automountServiceAccountToken"}
    if kind == "Secret":
        content["data"] = {name: _digest(value) for name, value in (content.get("data") or {}).items()}
    return content


def _limited(entry: Mapping[str, Any]) -> list[str]:
    """Keys of a quota that we set by apply; only these go when they are no longer desired."""
    fields = _at(entry.get("fieldsV1") or {}, ("f:spec", "f:hard")) or {}
    return [name.removeprefix("f:") for name in fields if name != "."]


def _digest(encoded: str) -> str:
    return hashlib.sha256(base64.b64decode(encoded)).hexdigest()


def _key_id(body: Mapping[str, Any]) -> str:
    """The public part of an access key; empty when there is none or it is not of our making."""
    try:
        text = base64.b64decode((body.get("data") or {}).get(constants.KEY_DATA, ""), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    match = _KEY.fullmatch(text)
    return match[1] if match else ""


def _ours(values: Mapping[str, str] | None) -> dict[str, str]:
    """Only names of the kinds we set: what others write must not fill our memory."""
    return {name: value for name, value in (values or {}).items() if name.startswith(_KEPT_PREFIXES)}


def _is_own(entry: Mapping[str, Any]) -> bool:
    return entry.get("manager") == constants.FIELD_MANAGER


def _is_foreign(entry: Mapping[str, Any]) -> bool:
    return entry.get("operation") == "Apply" and not _is_own(entry) and not entry.get("subresource")
