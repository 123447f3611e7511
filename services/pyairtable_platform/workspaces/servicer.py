"""The registry as WorkspaceService: messages to plain values and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pyairtable_platform.common import context
from pyairtable_platform.common.registry import in_use
from pyairtable_platform.common.workspace import to_message
from pyairtable_protos.workspaces.v1 import workspace_service_pb2 as rpc

from .declared import from_request
from .service import Change, Registry, Removed, Snapshot

DEFAULT_PAGE_SIZE = 100


class WorkspaceServicer:
    """Implements pyairtable.workspaces.v1.WorkspaceService."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def ListWorkspaces(self, request: rpc.ListWorkspacesRequest, call: Any) -> rpc.ListWorkspacesResponse:
        if tenant := context.identity():
            return rpc.ListWorkspacesResponse(workspaces=[to_message(in_use(self._registry.get(tenant.workspace)))])
        page, token = self._registry.page(request.page_size or DEFAULT_PAGE_SIZE, request.page_token)
        return rpc.ListWorkspacesResponse(workspaces=map(to_message, page), next_page_token=token)

    async def GetWorkspace(self, request: rpc.GetWorkspaceRequest, call: Any) -> rpc.GetWorkspaceResponse:
        workspace = self._registry.get(context.meant_workspace(request.workspace))
        return rpc.GetWorkspaceResponse(workspace=to_message(in_use(workspace) if context.identity() else workspace))

    async def WatchWorkspaces(
        self, request: rpc.WatchWorkspacesRequest, call: Any
    ) -> AsyncIterator[rpc.WatchWorkspacesResponse]:
        async for change in self._registry.watch():
            yield to_update(change, self._registry.id)

    async def ApplyWorkspace(self, request: rpc.ApplyWorkspaceRequest, call: Any) -> rpc.ApplyWorkspaceResponse:
        workspace, changed = await self._registry.apply(from_request(request.workspace, request.source))
        return rpc.ApplyWorkspaceResponse(workspace=to_message(workspace), changed=changed)

    async def RemoveWorkspace(self, request: rpc.RemoveWorkspaceRequest, call: Any) -> rpc.RemoveWorkspaceResponse:
        return rpc.RemoveWorkspaceResponse(removed=await self._registry.remove(request.name, request.uid))


def to_update(change: Change, registry: str) -> rpc.WatchWorkspacesResponse:
    """A change as a message of the stream."""
    update = rpc.WatchWorkspacesResponse(registry=registry, revision=change.revision)
    if isinstance(change, Snapshot):
        update.snapshot.SetInParent()
        update.snapshot.workspaces.extend(map(to_message, change.workspaces))
    elif isinstance(change, Removed):
        update.removed = change.name
    else:
        update.applied.CopyFrom(to_message(change.workspace))
    return update
