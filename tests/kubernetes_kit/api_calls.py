"""What a request to the Kubernetes API means: verb, kind of object, name, field manager; read from the wire, no I/O."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl

import orjson

MUTATING = frozenset({"create", "update", "patch", "apply", "delete", "deletecollection"})
APPLY = "application/apply-patch+yaml"
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
BOOKKEEPING = frozenset({"leases", "events"})
"""Written by the clock or as comments: their number depends on time, so they are no kill points."""


@dataclass(frozen=True, slots=True)
class Target:
    """The object or collection that a path names."""

    group: str
    resource: str
    namespace: str
    name: str
    subresource: str

    @classmethod
    def of(cls, path: str) -> Self:
        """Read a path (Kubernetes docs: API concepts, resource URIs); what is no resource has an empty `resource`."""
        parts = [part for part in path.split("/") if part]
        if not parts or parts[0] not in ("api", "apis"):
            return cls("", "", "", "", "")
        group = "" if parts[0] == "api" else "".join(parts[1:2])
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        resource, name, subresource = (*rest, "", "", "")[:3]
        return cls(group, resource, namespace, name, subresource)

    @property
    def key(self) -> str:
        """`secrets/ws-acme/pyairtable-access`: the same for every way to reach the object."""
        return "/".join(part for part in (self.resource, self.namespace, self.name) if part)


@dataclass(slots=True)
class Call:
    """One request that went through, or was stopped."""

    target: Target
    verb: str
    method: str
    path: str
    query: dict[str, str]
    manager: str
    body: bytes = field(repr=False)
    content_type: str = ""
    at: float = field(default_factory=time.monotonic)
    number: int = 0
    """Place among the mutating requests since the last `reset`, from 1; 0 for reads and book-keeping."""
    status: int | None = None
    """What the client was answered; None while open, or when the connection was cut."""
    forwarded: bool = False
    changed: bool | None = None
    """Whether the object's resourceVersion is another one after the write; None when nothing was answered."""

    @classmethod
    def of(cls, method: str, path: str, query_string: str, content_type: str, body: bytes) -> Self:
        """Read a request."""
        target = Target.of(path)
        query = dict(parse_qsl(query_string, keep_blank_values=True))
        verb = verb_of(method, content_type, target, query)
        if verb == "create" and not target.name:
            target = with_name(target, body)
        return cls(target, verb, method, path, query, query.get("fieldManager", ""), body, content_type)

    @property
    def mutates(self) -> bool:
        """Whether it can change an object: neither a read, nor a dry run, nor a question asked by POST."""
        review = self.target.group in ("authorization.k8s.io", "authentication.k8s.io")
        asks = review or self.target.subresource == "token"
        return self.verb in MUTATING and "dryRun" not in self.query and not asks

    @property
    def watches(self) -> bool:
        return self.verb == "watch"

    @property
    def counts(self) -> bool:
        """Whether it is a write that the oracle counts."""
        return self.mutates and self.target.resource not in BOOKKEEPING

    def __str__(self) -> str:
        sub = f"/{self.target.subresource}" if self.target.subresource else ""
        return f"{self.verb} {self.target.key}{sub} -> {self.status}"


def verb_of(method: str, content_type: str, target: Target, query: Mapping[str, str]) -> str:
    """The verb as RBAC names it, with `apply` for server-side apply."""
    if method in ("GET", "HEAD"):
        if query.get("watch") in ("1", "true", "True"):
            return "watch"
        return "get" if target.name or not target.resource else "list"
    if method == "PATCH" and content_type.startswith(APPLY):
        return "apply"
    if method == "DELETE" and not target.name:
        return "deletecollection"
    return VERBS.get(method, method.lower())


def with_name(target: Target, body: bytes) -> Target:
    """A created object's name stands in its body only."""
    name = metadata(body).get("name", "")
    return Target(target.group, target.resource, target.namespace, str(name), target.subresource)


def metadata(body: bytes) -> dict[str, Any]:
    """`metadata` of an object as JSON; empty when it is none."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    found = document.get("metadata") if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}
