"""The workspaces that this process knows: a copy of the registry, kept current by a stream.

When the source is away the last snapshot stays in force. What a workspace is stands in workspace.py.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from pyairtable_protos.workspaces.v1 import workspace_service_pb2, workspace_service_pb2_grpc

from . import context
from .channels import ServiceChannel
from .errors import Denied, InvalidInput, NotFound, PyAirtableError, Reason, Unavailable
from .workspace import BaseBinding, LlmPolicy, Member, Owner, SecretRef, Source, Workspace, from_message

__all__ = [
    "BaseBinding",
    "LlmPolicy",
    "Member",
    "Owner",
    "SecretRef",
    "Source",
    "Workspace",
    "WorkspaceRegistry",
]

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5


class WorkspaceRegistry:
    """Follows WatchWorkspaces. Run `follow` in the background; `resolve` answers from memory."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._workspaces: dict[str, Workspace] | None = None
        self._registry = ""
        self._revision = 0
        self._heard_at = 0.0
        self._heard = asyncio.Event()

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
        """Take in one message of the stream, unless it tells of a state that is older than the one we know.

        A replica of the registry that lies behind sends old states first and then every change that follows them, so
        that nothing is lost by leaving them aside.
        """
        self._heard_at = time.monotonic()
        if update.registry == self._registry and update.revision < self._revision:
            log.info("an older state of the registry is left aside", extra={"revision": update.revision})
            return
        known = dict(self._workspaces or {})
        kind = update.WhichOneof("update")
        if kind == "snapshot":
            known = {item.name: from_message(item) for item in update.snapshot.workspaces}
        elif kind == "applied":
            known[update.applied.name] = from_message(update.applied)
        elif kind == "removed":
            known.pop(update.removed, None)
        self._workspaces = known
        self._registry, self._revision = update.registry, update.revision
        self._heard.set()

    async def heard(self) -> None:
        """Wait for the first snapshot."""
        await self._heard.wait()

    async def check(self) -> None:
        """For readiness: raises until the first snapshot has come. Afterwards the last one serves."""
        self._known()

    @property
    def revision(self) -> int:
        """State of the registry that this copy shows; 0 before the first snapshot."""
        return self._revision

    def age_seconds(self) -> float:
        """Time since the registry spoke last."""
        return time.monotonic() - self._heard_at

    def names(self) -> list[str]:
        """All workspaces, by name."""
        return sorted(self._known())

    def resolve(self, name: str) -> Workspace:
        """The workspace that a caller means; empty is the only one. Suspended ones are refused."""
        return in_use(self.find(name))

    def find(self, name: str) -> Workspace:
        """As `resolve`, suspended ones too: for what the platform asks about a workspace, not what is done in it."""
        name = context.meant_workspace(name)
        known = self._known()
        if not name:
            name = self._only_one(known)
        workspace = known.get(name)
        if workspace is None:
            raise NotFound(f'there is no workspace "{name}"', reason=Reason.WORKSPACE_NOT_FOUND, workspace=name)
        if context.current().tenant not in ("", workspace.tenant):
            raise made_anew(workspace)
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


def made_anew(workspace: Workspace) -> NotFound:
    """The error for work that began in a workspace of this name which is no more."""
    text = f'workspace "{workspace.name}" was removed and made anew meanwhile: start again'
    return NotFound(text, reason=Reason.WORKSPACE_NOT_FOUND, workspace=workspace.name)


def in_use(workspace: Workspace) -> Workspace:
    """The workspace, unless it is suspended (Denied)."""
    if workspace.suspended:
        text = f'workspace "{workspace.name}" is suspended'
        raise Denied(text, reason=Reason.WORKSPACE_SUSPENDED, workspace=workspace.name)
    return workspace
