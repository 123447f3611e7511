"""What is kept of the Secrets in the credentials namespace: name, opt-in, hashes of the values."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pyairtable_operator import constants
from pyairtable_operator.credentials import EMPTY, CredentialSecret


class Credentials:
    """The Secrets by name; a sink of their watch."""

    def __init__(self, namespace: str, users: Callable[[str], Iterable[str]], touched: Callable[[str], None]) -> None:
        """`users` names the workspaces that refer to a Secret; `touched` is told of each that is concerned."""
        self._namespace = namespace
        self._users = users
        self._touched = touched
        self._kept: dict[str, tuple[int, CredentialSecret]] = {}

    def some(self, names: Iterable[str]) -> dict[str, CredentialSecret]:
        """Those of these Secrets that are there and opted in to anybody."""
        return {name: self._kept[name][1] for name in names if name in self._kept}

    def changed(self, kind: str, body: Mapping[str, Any]) -> None:
        """See Sink."""
        metadata = body["metadata"]
        name, version = metadata["name"], int(metadata.get("resourceVersion") or 0)
        known = self._kept.get(name)
        if known is not None and version < known[0]:
            return
        label = (metadata.get("labels") or {}).get(constants.WORKSPACE_LABEL, "")
        found = CredentialSecret(name, label, _versions(body.get("data") or {}))
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
    """The begin of the value's SHA-256; blanks are as good as nothing."""
    try:
        value = base64.b64decode(encoded)
    except binascii.Error:
        return EMPTY
    return hashlib.sha256(value).hexdigest()[:16] if value.strip() else EMPTY
