"""A desired object, and what all objects of a workspace have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from pyairtable_operator import constants
from pyairtable_operator.spec import Workspace


class ObjectKey(NamedTuple):
    """Names an object; namespace is empty for a cluster-scoped one. Kinds of ours are unique over API groups."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """An object as it is applied. `body` may hold a secret, so it is never shown."""

    body: Mapping[str, Any] = field(repr=False)
    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, self.namespace, self.name)

    @property
    def hash(self) -> str:
        """Changes when the object does: 16 hexadecimal digits, the same in every process."""
        return hashlib.sha256(orjson.dumps(self.body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class TenantConfig:
    """What objects of every tenant are made with. The addresses are those that tenants' pods can reach."""

    platform_namespace: str = "pyairtable-system"
    credentials_namespace: str = "pyairtable-credentials"
    rest_url: str = "http://127.0.0.1:8000/api"
    grpc_target: str = "127.0.0.1:9000"
    mcp_url: str = "http://127.0.0.1:8001/mcp"
    airtable_url: str = "http://127.0.0.1:8002"
    dns_namespace: str = "kube-system"
    dns_labels: Mapping[str, str] = field(default_factory=lambda: {"k8s-app": "kube-dns"})


def labels(workspace: Workspace) -> dict[str, str]:
    """By which the watches and `kubectl get -l` find what belongs to a workspace."""
    return {
        constants.WORKSPACE_LABEL: workspace.name,
        constants.MANAGED_BY_LABEL: constants.FIELD_MANAGER,
        constants.PART_OF_LABEL: constants.PART_OF,
    }


def manifest(
    workspace: Workspace,
    api_version: str,
    kind: str,
    name: str,
    content: Mapping[str, Any],
    *,
    namespace: str | None = None,
    extra_labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """An object of a workspace, in the tenant namespace unless another is given ("" is cluster-scoped)."""
    namespace = workspace.namespace if namespace is None else namespace
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    metadata["labels"] = labels(workspace) | dict(extra_labels or {})
    metadata["annotations"] = {constants.OWNER_UID_ANNOTATION: workspace.uid} | dict(annotations or {})
    body = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}
    return Manifest(body, api_version, kind, namespace, name)
