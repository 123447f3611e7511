"""Kubeconfig files: made for one user of one cluster, and merged into a person's own file without touching theirs."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pyairtable_devkit.cluster.pki import Pair, write_private

CONTEXT = "pyairtable-devkit"
"""Name of our context, cluster and user in every kubeconfig we write."""

_LISTS = {"clusters": "cluster", "contexts": "context", "users": "user"}


class KubeconfigError(RuntimeError):
    """A kubeconfig could not be changed; the message says why, and what to do."""


@dataclass(frozen=True)
class Cluster:
    """Where an API server is, and the authority that its certificate must come from (PEM)."""

    server: str
    authority: bytes = field(repr=False)


def for_certificate(cluster: Cluster, pair: Pair, namespace: str = "default") -> dict[str, Any]:
    """Return the kubeconfig of a user with a client certificate; nothing in it points to another file."""
    user = {"client-certificate-data": _base64(pair.certificate), "client-key-data": _base64(pair.key)}
    return _document(cluster, user, namespace)


def for_token(cluster: Cluster, token: str, namespace: str = "default") -> dict[str, Any]:
    """Return the kubeconfig of a ServiceAccount that shows a token."""
    return _document(cluster, {"token": token}, namespace)


def for_token_file(cluster: Cluster, token_file: Path, namespace: str = "default") -> dict[str, Any]:
    """Return the kubeconfig of a ServiceAccount whose token is read from a file (and again when it changes)."""
    return _document(cluster, {"tokenFile": str(token_file)}, namespace)


def write_kubeconfig(path: Path, document: Mapping[str, Any]) -> Path:
    """Write a kubeconfig that only its owner may read, in place of what is there, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    write_private(draft, yaml.safe_dump(dict(document), sort_keys=False).encode())
    draft.replace(path)
    return path


def _document(cluster: Cluster, user: Mapping[str, str], namespace: str) -> dict[str, Any]:
    context = {"cluster": CONTEXT, "user": CONTEXT, "namespace": namespace}
    described = {"server": cluster.server, "certificate-authority-data": _base64(cluster.authority)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [{"name": CONTEXT, "cluster": described}],
        "contexts": [{"name": CONTEXT, "context": context}],
        "users": [{"name": CONTEXT, "user": dict(user)}],
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
