"""Kubeconfig files: made for one user of one cluster, and merged into a person's own file without touching theirs."""

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pyairtable_devkit.cluster.pki import Pair, write_private

CONTEXT = "pyairtable-devkit"
"""Name of our context, cluster and user in every kubeconfig we write."""

_MARK = "pyairtable.dev/devkit"
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


def renamed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a kubeconfig of one cluster, made by another tool, under our names."""
    result = {**document, "current-context": CONTEXT}
    for plural, singular in _LISTS.items():
        (entry,) = document[plural]
        result[plural] = [{"name": CONTEXT, singular: entry[singular]}]
    result["contexts"][0]["context"] = {**result["contexts"][0]["context"], "cluster": CONTEXT, "user": CONTEXT}
    return result


def cluster_of(document: Mapping[str, Any]) -> Cluster:
    """Return the cluster of a kubeconfig of ours."""
    (entry,) = document["clusters"]
    described = entry["cluster"]
    return Cluster(described["server"], base64.b64decode(described["certificate-authority-data"]))


def read_kubeconfig(path: Path) -> dict[str, Any]:
    """Return what a kubeconfig holds; empty when there is none. Raises KubeconfigError for what is no kubeconfig."""
    try:
        document = yaml.safe_load(path.read_text()) or {}
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"{path} cannot be read as a kubeconfig, so it is left as it is") from error
    if not isinstance(document, dict) or document.get("kind", "Config") != "Config":
        raise KubeconfigError(f"{path} is not a kubeconfig, so it is left as it is")
    return document


def merged(theirs: Mapping[str, Any], ours: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return their kubeconfig with our context added, or replaced if it is ours; raises KubeconfigError if it is not.

    Their current context stays what it is; without any, ours becomes it.
    """
    result = without_ours(theirs, path, refuse=True)
    for plural, singular in _LISTS.items():
        (entry,) = ours[plural]
        marked = (
            {**entry[singular], "extensions": [{"name": _MARK, "extension": {"madeBy": "pyairtable-devkit cluster"}}]}
            if plural != "users"
            else entry[singular]
        )
        result[plural] = [*(result.get(plural) or []), {"name": CONTEXT, singular: marked}]
    return {"apiVersion": "v1", "kind": "Config", **result, "current-context": result.get("current-context") or CONTEXT}


def without_ours(theirs: Mapping[str, Any], path: Path, *, refuse: bool) -> dict[str, Any]:
    """Return their kubeconfig without what we added. What has our name but not our mark is somebody else's.

    It stays; with refuse it raises KubeconfigError.
    """
    named = {plural: [entry for entry in theirs.get(plural) or [] if entry.get("name") == CONTEXT] for plural in _LISTS}
    if not any(named.values()):
        return dict(theirs)
    contexts, clusters = named["contexts"], named["clusters"]
    is_ours = all(_is_marked(entry.get("context", {})) for entry in contexts) and all(
        _is_marked(entry.get("cluster", {})) for entry in clusters
    )
    if not (is_ours and contexts and clusters):
        if refuse:
            raise KubeconfigError(
                f"{path} has a context, cluster or user called {CONTEXT} that is not of our making: rename or remove "
                "it, or use the file that `pyairtable-devkit cluster kubeconfig` names"
            )
        return dict(theirs)
    kept = {plural: [entry for entry in theirs.get(plural) or [] if entry.get("name") != CONTEXT] for plural in _LISTS}
    current = theirs.get("current-context", "")
    return {**theirs, **kept, "current-context": "" if current == CONTEXT else current}


def change(path: Path, changed: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
    """Rewrite a kubeconfig of the user's as kubectl does: under its lock file, in place of what a link points to."""
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target):
        before = read_kubeconfig(target)
        after = changed(before)
        if after != before:
            write_kubeconfig(target, after)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = path.with_name(f"{path.name}.lock")
    try:
        lock.touch(exist_ok=False)
    except FileExistsError as error:
        raise KubeconfigError(f"{path} is being changed by another program ({lock} is there)") from error
    try:
        yield
    finally:
        lock.unlink()


def _is_marked(entry: Mapping[str, Any]) -> bool:
    return any(extension.get("name") == _MARK for extension in entry.get("extensions") or [])


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
