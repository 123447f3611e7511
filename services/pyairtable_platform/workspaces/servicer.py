"""The registry as WorkspaceService: messages to plain values and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pyairtable_protos.workspaces.v1 import workspace_pb2 as messages
from pyairtable_protos.workspaces.v1 import workspace_service_pb2 as rpc

from .documents import Base
from .service import Change, Registry, Removed, Snapshot, Workspace

DEFAULT_PAGE_SIZE = 100

_ACCESS = {
    "ReadOnly": messages.BASE_ACCESS_READ_ONLY,
    "ReadWrite": messages.BASE_ACCESS_READ_WRITE,
    "Schema": messages.BASE_ACCESS_SCHEMA,
}


class WorkspaceServicer:
    """Implements pyairtable.workspaces.v1.WorkspaceService."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def ListWorkspaces(self, request: rpc.ListWorkspacesRequest, call: Any) -> rpc.ListWorkspacesResponse:
        page, token = self._registry.page(request.page_size or DEFAULT_PAGE_SIZE, request.page_token)
        return rpc.ListWorkspacesResponse(workspaces=map(to_message, page), next_page_token=token)

    async def GetWorkspace(self, request: rpc.GetWorkspaceRequest, call: Any) -> rpc.GetWorkspaceResponse:
        return rpc.GetWorkspaceResponse(workspace=to_message(self._registry.get(request.name)))

    async def WatchWorkspaces(
        self, request: rpc.WatchWorkspacesRequest, call: Any
    ) -> AsyncIterator[rpc.WatchWorkspacesResponse]:
        async for change in self._registry.watch():
            yield to_update(change)


def to_update(change: Change) -> rpc.WatchWorkspacesResponse:
    """A change as a message of the stream."""
    if isinstance(change, Snapshot):
        workspaces = map(to_message, change.workspaces)
        return rpc.WatchWorkspacesResponse(snapshot=rpc.WorkspaceSnapshot(workspaces=workspaces))
    if isinstance(change, Removed):
        return rpc.WatchWorkspacesResponse(removed=change.name)
    return rpc.WatchWorkspacesResponse(applied=to_message(change.workspace))


def to_message(workspace: Workspace) -> messages.Workspace:
    """A workspace as the data plane gets it."""
    spec = workspace.spec
    secret = spec.airtable.token_secret_ref
    return messages.Workspace(
        name=workspace.name,
        display_name=spec.display_name or workspace.name,
        version=workspace.version,
        suspended=spec.suspend,
        owners=[messages.Owner(kind=owner.kind, name=owner.name) for owner in spec.owners],
        airtable_token=messages.SecretRef(name=secret.name, key=secret.key) if secret else None,
        monthly_call_budget=spec.airtable.monthly_call_budget,
        bases=[to_binding(base, len(spec.airtable.bases) == 1) for base in spec.airtable.bases],
        llm=messages.LlmPolicy(
            model=spec.llm.model, monthly_cost_limit=spec.llm.monthly_cost_limit, approval=spec.llm.approval
        ),
    )


def to_binding(base: Base, only: bool) -> messages.BaseBinding:
    """A base; the only one is the default one."""
    return messages.BaseBinding(
        name=base.name,
        base_id=base.base_id,
        access=_ACCESS[base.access],
        is_default=base.default or only,
        tables=base.tables,
    )
