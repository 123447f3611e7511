"""Airtable tokens of workspaces: those that they name, or one from the environment for all."""

from __future__ import annotations

from pyairtable_platform.common.registry import Workspace
from pyairtable_platform.common.secrets import Credential, NotUsable, Secrets, missing, usable
from pyairtable_platform.common.workspace import API

WHAT = "Airtable token"


class Credentials:
    """Finds the token of a workspace. Without `secrets`, `token` is that of every workspace that somebody declared;
    `is_shared`: of every one that names no secret, those that calls made too."""

    def __init__(self, *, secrets: Secrets | None, token: str, is_shared: bool = False) -> None:
        self._secrets = secrets
        self._token = token
        self._is_shared = is_shared

    async def of(self, workspace: Workspace, *, candidate: bool = False) -> Credential:
        """The token to use; a candidate is one that is to be checked before it is put in force.

        Raises FailedPrecondition naming what to set when there is none, Unavailable when one cannot look.
        """
        names_one = workspace.airtable_secret is not None and workspace.airtable_secret.name
        if self._is_shared and not names_one:
            return self._from_environment(workspace)
        if self._secrets is None:
            if workspace.source.kind == API:  # its owner is anybody who registered, the token an operator's
                remedy = "calls made the workspace, and the installation shares its token with no such one"
                raise missing(workspace.name, WHAT, "SHARED_AIRTABLE_TOKEN", remedy)
            return self._from_environment(workspace)
        if workspace.airtable_secret is None or not names_one:
            raise missing(workspace.name, WHAT, "spec.airtable.tokenSecretRef", "the workspace names no secret")
        return await self._secrets.read(workspace.tenant, workspace.airtable_secret, candidate=candidate)

    def look_anew(self, workspace: str = "") -> None:
        """Look again for the token of a workspace (by its name; empty: of any) before it is used."""
        if self._secrets is not None:
            self._secrets.look_anew(workspace)

    def _from_environment(self, workspace: Workspace) -> Credential:
        try:
            return Credential(usable(self._token.encode()), "AIRTABLE_TOKEN")
        except NotUsable:
            remedy = "set it, or SECRETS_PATH or SECRETS_NAMESPACE with a secret for each workspace"
            raise missing(workspace.name, WHAT, "AIRTABLE_TOKEN", remedy) from None
