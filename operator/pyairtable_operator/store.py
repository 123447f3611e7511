"""What the watches told, in as little memory as possible, and which workspace it concerns.

Every object is kept as its essence (compare.py); of Workspaces and BaseBindings also the document, as bytes. What is
older than what is known (resourceVersion) is not taken: our own writes are put in at once, from their answers, and the
watch tells of them later. Who changes something here never writes to the cluster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from pyairtable_operator import compare, constants
from pyairtable_operator.manifests import ObjectKey

Body = Mapping[str, Any]
T = TypeVar("T")

_DOCUMENTS = ("Workspace", "BaseBinding")

GRAVES = 10_000
"""Deletions that are remembered: far more than can happen while the answer to one request is under way."""


@dataclass(frozen=True, slots=True)
class _Entry:
    version: int
    essence: bytes
    document: bytes
    workspace: str


class Store:
    """Observed objects by key, by workspace label and by namespace. For one event loop."""

    def __init__(self, touched: Callable[[str], None]) -> None:
        """`touched` is called with the name of a workspace that something changed for."""
        self._touched = touched
        self._entries: dict[ObjectKey, _Entry] = {}
        self._labelled: defaultdict[str, set[ObjectKey]] = defaultdict(set)
        self._bindings: defaultdict[str, set[ObjectKey]] = defaultdict(set)
        self._tenants: defaultdict[str, set[str]] = defaultdict(set)
        self._namespaces: dict[str, str] = {}
        self._secrets: dict[str, frozenset[str]] = {}
        self._graves: dict[ObjectKey, int] = {}

    # -- what the watches and our own writes tell

    def changed(self, kind: str, body: Body) -> None:
        """An object as the API server sent it. Items of lists carry no kind, so it is told."""
        metadata = body["metadata"]
        key = ObjectKey(kind, metadata.get("namespace") or "", metadata["name"])
        version = int(metadata.get("resourceVersion") or 0)
        known = self._entries.get(key)
        if version < known.version if known is not None else version <= self._graves.get(key, -1):
            return
        entry = _entry(kind, body, version)
        same = known is not None and (known.essence, known.document) == (entry.essence, entry.document)
        self._put(key, entry)
        if kind == "Workspace":
            self._settle(key.name, body)
        if not same:
            self._tell(key, entry.workspace, known.workspace if known else "")

    def gone(self, kind: str, namespace: str, name: str, version: str = "") -> None:
        """An object that is not there any more, as of this resourceVersion."""
        key = ObjectKey(kind, namespace, name)
        known = self._entries.get(key)
        if known is None or (version and int(version) < known.version):
            return
        self._remove(key, known)
        self._bury(key, int(version or known.version))
        self._tell(key, known.workspace)
        if kind == "Workspace":
            _take_out(self._tenants, self._namespaces.pop(name, ""), name)
            self._secrets.pop(name, None)

    def names(self, kind: str) -> set[tuple[str, str]]:
        """Namespace and name of every object of a kind."""
        return {(key.namespace, key.name) for key in self._entries if key.kind == kind}

    # -- what a pass asks

    def version(self, kind: str, namespace: str, name: str) -> int:
        """resourceVersion of what is known of an object; -1 when nothing is."""
        entry = self._entries.get(ObjectKey(kind, namespace, name))
        return entry.version if entry else -1

    def essence(self, key: ObjectKey) -> bytes | None:
        """Of one object; None when it is not there."""
        entry = self._entries.get(key)
        return entry.essence if entry else None

    def document(self, key: ObjectKey) -> dict[str, Any] | None:
        """Of a Workspace or BaseBinding; None when it is not there."""
        entry = self._entries.get(key)
        if entry is None or not entry.document:
            return None
        value: dict[str, Any] = orjson.loads(entry.document)
        return value

    def of_workspace(self, name: str) -> dict[ObjectKey, bytes]:
        """Essences of everything that is labelled for a workspace."""
        return {key: self._entries[key].essence for key in self._labelled.get(name, ())}

    def bindings(self, namespace: str) -> list[dict[str, Any]]:
        """Every BaseBinding of a namespace, whoever made it, by name."""
        keys = sorted(self._bindings.get(namespace, ()))
        return [orjson.loads(self._entries[key].document) for key in keys]

    def workspaces(self) -> list[str]:
        """Names of all Workspaces."""
        return list(self._namespaces)

    def tenants_of(self, namespace: str) -> set[str]:
        """Workspaces that want this namespace."""
        return self._tenants.get(namespace, set())

    def users_of(self, secret: str) -> list[str]:
        """Workspaces that refer to a Secret of the credentials namespace."""
        return [name for name, secrets in self._secrets.items() if secret in secrets]

    def count(self) -> dict[str, int]:
        """How many objects of each kind are kept."""
        counts: defaultdict[str, int] = defaultdict(int)
        for key in self._entries:
            counts[key.kind] += 1
        return counts

    # -- indexes

    def _put(self, key: ObjectKey, entry: _Entry) -> None:
        known = self._entries.get(key)
        self._graves.pop(key, None)
        if known is not None and known.workspace != entry.workspace:
            _take_out(self._labelled, known.workspace, key)
        self._entries[key] = entry
        if entry.workspace:
            self._labelled[entry.workspace].add(key)
        if key.kind == "BaseBinding":
            self._bindings[key.namespace].add(key)

    def _remove(self, key: ObjectKey, known: _Entry) -> None:
        del self._entries[key]
        _take_out(self._labelled, known.workspace, key)
        _take_out(self._bindings, key.namespace, key)

    def _bury(self, key: ObjectKey, version: int) -> None:
        """The answer to a write may come after the watch told that the object was deleted right after it: it must not
        bring the object back, since no watch would ever tell of its end again."""
        self._graves[key] = version
        if len(self._graves) > GRAVES:
            del self._graves[next(iter(self._graves))]

    def _settle(self, name: str, body: Body) -> None:
        """Remembers which namespace and which Secrets a Workspace wants."""
        spec = body.get("spec") or {}
        namespace = (spec.get("namespace") or {}).get("name") or f"ws-{name}"
        references = (
            (spec.get("airtable") or {}).get("tokenSecretRef") or {},
            (spec.get("llm") or {}).get("apiKeySecretRef") or {},
        )
        self._secrets[name] = frozenset(reference["name"] for reference in references if reference)
        before = self._namespaces.get(name)
        if before is not None and before != namespace:
            _take_out(self._tenants, before, name)
        self._namespaces[name] = namespace
        self._tenants[namespace].add(name)

    def _tell(self, key: ObjectKey, *labelled: str) -> None:
        namespace = key.name if key.kind == "Namespace" else key.namespace
        names: Iterable[str] = {*labelled, *self._tenants.get(namespace, ())} if namespace else {*labelled}
        if key.kind == "Workspace":
            names = {key.name}
        for name in names:
            if name in self._namespaces:
                self._touched(name)


def _take_out(index: dict[str, set[T]], name: str, member: T) -> None:
    members = index.get(name, set())
    members.discard(member)
    if not members:
        index.pop(name, None)


def _entry(kind: str, body: Body, version: int) -> _Entry:
    labels = body["metadata"].get("labels") or {}
    ours = labels.get(constants.MANAGED_BY_LABEL) == constants.FIELD_MANAGER
    document = orjson.dumps(_slim(kind, body)) if kind in _DOCUMENTS else b""
    essence = b"" if kind == "Workspace" else compare.essence({**body, "kind": kind})
    return _Entry(version, essence, document, labels.get(constants.WORKSPACE_LABEL, "") if ours else "")


def _slim(kind: str, body: Body) -> dict[str, Any]:
    """The document without what changes on every write or is of no use here."""
    dropped = ("managedFields", "resourceVersion", "selfLink")
    metadata = {name: value for name, value in body["metadata"].items() if name not in dropped}
    annotations = metadata.get("annotations") or {}
    if "kubectl.kubernetes.io/last-applied-configuration" in annotations:
        metadata["annotations"] = {
            name: value for name, value in annotations.items() if name.startswith(constants.GROUP + "/")
        }
    return {"kind": kind, "metadata": metadata, "spec": body.get("spec") or {}, "status": body.get("status") or {}}
