"""Keys for the model: a workspace's own, or the platform's."""

from __future__ import annotations

from typing import Protocol

from pyairtable_platform.common import context
from pyairtable_platform.common.errors import FailedPrecondition, Reason
from pyairtable_platform.common.registry import Workspace
from pyairtable_platform.common.secrets import Credential, NotUsable, Secrets, missing, usable

WHAT = "key for the model"
PLATFORM_KEY = "GEMINI_API_KEY"


class Registry(Protocol):
    """Who knows the workspaces."""

    async def heard(self) -> None: ...

    def resolve(self, name: str) -> Workspace: ...


class ModelKeys:
    """Finds the key of a workspace. One that names its own is never served with the platform's."""

    def __init__(self, registry: Registry, secrets: Secrets | None, platform_key: str) -> None:
        self._registry = registry
        self._secrets = secrets
        self._platform_key = platform_key

    async def of_current(self) -> Credential:
        """The key of the workspace that this task works for. Raises Denied or NotFound when it may not go on."""
        await self._registry.heard()  # a run that was taken over may be quicker than the registry
        return await self.of(self._registry.resolve(context.workspace()))

    def require_current(self) -> None:
        """Raise Denied or NotFound when the workspace that this task works for was suspended or removed meanwhile."""
        self._registry.resolve(context.workspace())

    async def of(self, workspace: Workspace) -> Credential:
        """The key of a workspace. Raises FailedPrecondition naming what to set, Unavailable when one cannot look."""
        if workspace.llm.api_key is None:
            return self._from_environment()
        if self._secrets is None:
            remedy = "this installation has no place for keys of workspaces: set SECRETS_PATH or SECRETS_NAMESPACE"
            raise missing(workspace.name, WHAT, "spec.llm.apiKeySecretRef", remedy)
        return await self._secrets.read(workspace.tenant, workspace.llm.api_key)

    def _from_environment(self) -> Credential:
        try:
            return Credential(usable(self._platform_key.encode()), PLATFORM_KEY)
        except NotUsable:
            raise FailedPrecondition(
                f"chat has no key for the model: set {PLATFORM_KEY}, or spec.llm.apiKeySecretRef of the workspace",
                reason=Reason.CREDENTIAL_MISSING,
                credential=PLATFORM_KEY,
            ) from None
