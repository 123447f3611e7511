"""Airtable tokens of workspaces: from files below SECRETS_PATH, or one from the environment."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from pyairtable_platform.common.errors import FailedPrecondition, Reason
from pyairtable_platform.common.registry import SecretRef, Workspace


@dataclass(frozen=True, slots=True)
class Credential:
    """A token, and where it comes from in words. The token shows in no repr."""

    token: str = field(repr=False)
    origin: str

    @property
    def key(self) -> str:
        """Tells tokens apart in stores and queues without being one."""
        return hashlib.sha256(self.token.encode()).hexdigest()[:16]


class Credentials:
    """Finds the token of a workspace. Files are read at every call: they are small, and a rotation counts at once."""

    def __init__(self, *, secrets_path: Path | None, token: str) -> None:
        self._secrets_path = secrets_path
        self._token = token

    def of(self, workspace: Workspace) -> Credential:
        """The token to use. Raises FailedPrecondition naming what to set when there is none."""
        if self._secrets_path is None:
            return self._from_environment(workspace)
        if workspace.airtable_secret is None:
            raise missing(workspace, "spec.airtable.tokenSecretRef", "the workspace names no secret")
        return self._from_file(workspace, self._secrets_path, workspace.airtable_secret)

    def _from_environment(self, workspace: Workspace) -> Credential:
        if not self._token:
            raise missing(workspace, "AIRTABLE_TOKEN", "set it, or SECRETS_PATH with a file for each workspace")
        return Credential(self._token, "AIRTABLE_TOKEN")

    @staticmethod
    def _from_file(workspace: Workspace, folder: Path, secret: SecretRef) -> Credential:
        origin = f"secret {secret.name}, key {secret.key}"
        plain = all(part not in ("", ".", "..") and "/" not in part for part in (secret.name, secret.key))
        if not plain:
            raise missing(workspace, origin, "its name cannot be the name of a file")
        try:
            token = (folder / secret.name / secret.key).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise missing(workspace, origin, "there is no such file below SECRETS_PATH that can be read") from None
        if not token or not token.isascii() or not token.isprintable():
            raise missing(workspace, origin, "the file holds no token")
        return Credential(token, origin)


def missing(workspace: Workspace, credential: str, remedy: str) -> FailedPrecondition:
    return FailedPrecondition(
        f'workspace "{workspace.name}" has no Airtable token ({credential}): {remedy}',
        reason=Reason.CREDENTIAL_MISSING,
        workspace=workspace.name,
        credential=credential,
    )
