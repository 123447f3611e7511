"""The workspaces that this process knows: a copy of the registry, kept current by a stream.

When the source is away the last snapshot stays in force; its age is told in /health.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from pyairtable_protos.workspaces.v1 import workspace_pb2, workspace_service_pb2, workspace_service_pb2_grpc

from .channels import ServiceChannel
from .errors import Denied, InvalidInput, NotFound, PyAirtableError, Reason, Unavailable

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
DEFAULT_BASE = "default"

_ACCESS = {
    workspace_pb2.BASE_ACCESS_READ_ONLY: "ReadOnly",
    workspace_pb2.BASE_ACCESS_READ_WRITE: "ReadWrite",
    workspace_pb2.BASE_ACCESS_SCHEMA: "Schema",
}


@dataclass(frozen=True)
class SecretRef:
    """Where a credential lies."""

    name: str
    key: str


@dataclass(frozen=True)
class BaseBinding:
    """A base that a workspace may use. `access` is ReadOnly, ReadWrite or Schema; empty `tables` means all."""

    name: str
    base_id: str
    access: str
    is_default: bool
    tables: tuple[str, ...]


@dataclass(frozen=True)
class LlmPolicy:
    """What chats may do and spend; empty texts mean the platform's default and no limit."""

    model: str = ""
    monthly_cost_limit: str = ""
    approval: str = "Never"


@dataclass(frozen=True)
class Workspace:
    """A workspace as the data plane sees it."""

    name: str
    display_name: str
    version: int
    suspended: bool
    airtable_secret: SecretRef | None
    monthly_call_budget: int
    bases: tuple[BaseBinding, ...]
    llm: LlmPolicy

    def base(self, reference: str) -> BaseBinding:
        """The base that a caller means: by id, by bound name, or the default one for "" and "default"."""
        if reference in ("", DEFAULT_BASE):
            return self._default_base()
        for binding in self.bases:
            if reference in (binding.base_id, binding.name):
                return binding
        raise NotFound(
            f'workspace "{self.name}" has no base "{reference}": it has {self._base_names()}',
            reason=Reason.BASE_NOT_FOUND,
            workspace=self.name,
            base=reference,
        )

    def _default_base(self) -> BaseBinding:
        default = next((binding for binding in self.bases if binding.is_default), None)
        if default is None and len(self.bases) == 1:
            default = self.bases[0]
        if default is None:
            text = f'workspace "{self.name}" has no default base: name one of {self._base_names()}'
            raise InvalidInput.at("base_id", text, reason=Reason.BASE_REQUIRED)
        return default

    def _base_names(self) -> str:
        return ", ".join(f"{binding.name} ({binding.base_id})" for binding in self.bases) or "none"


class WorkspaceRegistry:
    """Follows WatchWorkspaces. Run `follow` in the background; `resolve` answers from memory."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._workspaces: dict[str, Workspace] | None = None
        self._heard_at = 0.0

    async def follow(self) -> None:
        """Keep the copy current, for ever."""
        stub: Any = workspace_service_pb2_grpc.WorkspaceServiceStub(self._channel.channel)
        request = workspace_service_pb2.WatchWorkspacesRequest()
        while True:
            try:
                async for update in self._channel.stream(stub.WatchWorkspaces, request, timeout=24 * 3600.0):
                    self.apply(update)
            except PyAirtableError as error:
                log.warning("the workspace registry is away", extra={"reason": str(error.reason)})
            await asyncio.sleep(RETRY_SECONDS)

    def apply(self, update: workspace_service_pb2.WatchWorkspacesResponse) -> None:
        """Take in one message of the stream."""
        known = dict(self._workspaces or {})
        kind = update.WhichOneof("update")
        if kind == "snapshot":
            known = {item.name: from_message(item) for item in update.snapshot.workspaces}
        elif kind == "applied":
            known[update.applied.name] = from_message(update.applied)
        elif kind == "removed":
            known.pop(update.removed, None)
        self._workspaces = known
        self._heard_at = time.monotonic()

    async def check(self) -> None:
        """For readiness: raises until the first snapshot has come. Afterwards the last one serves."""
        self._known()

    def age_seconds(self) -> float:
        """Time since the registry spoke last."""
        return time.monotonic() - self._heard_at

    def names(self) -> list[str]:
        """All workspaces, by name."""
        return sorted(self._known())

    def resolve(self, name: str) -> Workspace:
        """The workspace that a caller means; empty is the only one. Suspended ones are refused."""
        known = self._known()
        if not name:
            name = self._only_one(known)
        workspace = known.get(name)
        if workspace is None:
            raise NotFound(f'there is no workspace "{name}"', reason=Reason.WORKSPACE_NOT_FOUND, workspace=name)
        if workspace.suspended:
            raise Denied(f'workspace "{name}" is suspended', reason=Reason.WORKSPACE_SUSPENDED, workspace=name)
        return workspace

    def _known(self) -> dict[str, Workspace]:
        if self._workspaces is None:
            raise Unavailable(
                "the workspace registry has not been heard yet: is the workspaces service up?", dependency="workspaces"
            )
        return self._workspaces

    @staticmethod
    def _only_one(known: dict[str, Workspace]) -> str:
        if len(known) == 1:
            return next(iter(known))
        if not known:
            raise NotFound("there is no workspace yet: apply a Workspace document", reason=Reason.WORKSPACE_NOT_FOUND)
        names = ", ".join(sorted(known))
        raise InvalidInput.at("workspace", f"name one of {names}", reason=Reason.WORKSPACE_REQUIRED)


def from_message(message: workspace_pb2.Workspace) -> Workspace:
    """The contract's message as a plain value."""
    secret = message.airtable_token
    return Workspace(
        name=message.name,
        display_name=message.display_name,
        version=message.version,
        suspended=message.suspended,
        airtable_secret=SecretRef(secret.name, secret.key) if message.HasField("airtable_token") else None,
        monthly_call_budget=message.monthly_call_budget,
        bases=tuple(
            BaseBinding(
                item.name, item.base_id, _ACCESS.get(item.access, "ReadOnly"), item.is_default, tuple(item.tables)
            )
            for item in message.bases
        ),
        llm=LlmPolicy(message.llm.model, message.llm.monthly_cost_limit, message.llm.approval or "Never"),
    )
