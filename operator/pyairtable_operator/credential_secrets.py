"""What is kept of the Secrets in the credentials namespace: name, opt-in, hashes of the values."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pyairtable_operator import constants


@dataclass(frozen=True, slots=True)
class Credential:
    """A Secret that opted in to a workspace. `versions` maps its keys to the begin of the value's SHA-256, or to ""
    when the value is empty."""

    name: str
    workspace: str
    versions: Mapping[str, str]


class Credentials:
    """The Secrets by name; a sink of their watch."""

    def __init__(self, namespace: str, users: Callable[[str], Iterable[str]], touched: Callable[[str], None]) -> None:
        """`users` names the workspaces that refer to a Secret; `touched` is told of each that is concerned."""
        self._namespace = namespace
        self._users = users
        self._touched = touched
        self._kept: dict[str, tuple[int, Credential]] = {}

    def get(self, name: str) -> Credential | None:
        """A Secret by name; None when it is missing or opted in to nobody."""
        entry = self._kept.get(name)
        return entry[1] if entry else None

    def changed(self, kind: str, body: Mapping[str, Any]) -> None:
        """See Sink."""
        metadata = body["metadata"]
        name, version = metadata["name"], int(metadata.get("resourceVersion") or 0)
        known = self._kept.get(name)
        if known is not None and version < known[0]:
            return
        label = (metadata.get("labels") or {}).get(constants.WORKSPACE_LABEL, "")
        found = Credential(name, label, _versions(body.get("data") or {}))
        self._kept[name] = (version, found)
        if known is None or known[1] != found:
            self._tell(name, label, known[1].workspace if known else "")

    def gone(self, kind: str, namespace: str, name: str, version: str = "") -> None:
        """See Sink."""
        known = self._kept.get(name)
        if known is None or (version and int(version) < known[0]):
            return
        del self._kept[name]
        self._tell(name, known[1].workspace)

    def names(self, kind: str) -> set[tuple[str, str]]:
        """See Sink."""
        return {(self._namespace, name) for name in self._kept}

    def _tell(self, name: str, *labelled: str) -> None:
        for workspace in {*self._users(name), *labelled} - {""}:
            self._touched(workspace)


def _versions(data: Mapping[str, str]) -> dict[str, str]:
    return {key: _version(value) for key, value in data.items()}


def _version(encoded: str) -> str:
    try:
        value = base64.b64decode(encoded)
    except binascii.Error:
        return ""
    return hashlib.sha256(value).hexdigest()[:16] if value.strip() else ""
