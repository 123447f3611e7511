"""WorkspaceService: messages to plain values and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from pyairtable_platform.common import context
from pyairtable_platform.common.registry import in_use
from pyairtable_platform.common.workspace import access_name, binding_message, to_message
from pyairtable_protos.workspaces.v1 import workspace_service_pb2 as rpc

from .audit.log import AuditLog, Entry
from .creation import Creation, NewBase
from .declared import from_request
from .edit_requests import edit_of
from .edits import Edits
from .listing import of_person, page_of
from .members.accounts import Accounts
from .members.rules import actor_of
from .provisioning.servicer import asked
from .service import Change, Registry, Removed, Snapshot
from .templates.catalogue import template_named, templates
from .templates.making import Templates

DEFAULT_PAGE_SIZE = 100


@dataclass(frozen=True)
class Parts:
    """What the service is made of."""

    registry: Registry
    accounts: Accounts
    creation: Creation
    edits: Edits
    audit: AuditLog
    templates: Templates


class WorkspaceServicer:
    """Implements pyairtable.workspaces.v1.WorkspaceService."""

    def __init__(self, parts: Parts) -> None:
        self._registry = parts.registry
        self._parts = parts

    # Workspaces

    async def ListWorkspaces(self, request: rpc.ListWorkspacesRequest, call: Any) -> rpc.ListWorkspacesResponse:
        await self._registry.catch_up()  # what was just written may have been by another replica
        tenant = context.identity()
        if tenant is None:
            found = list(self._registry.snapshot().workspaces)
        elif tenant.is_person:
            found = await of_person(self._registry, self._parts.accounts, tenant.user_id)
        else:
            found = [in_use(self._registry.get(tenant.workspace))]
        page, token = page_of(found, request.page_size or DEFAULT_PAGE_SIZE, request.page_token)
        return rpc.ListWorkspacesResponse(workspaces=map(to_message, page), next_page_token=token)

    async def ListMyWorkspaces(self, request: rpc.ListMyWorkspacesRequest, call: Any) -> rpc.ListMyWorkspacesResponse:
        await self._registry.catch_up()
        found = await of_person(self._registry, self._parts.accounts, actor_of(context.identity()).user_id)
        return rpc.ListMyWorkspacesResponse(workspaces=map(to_message, found))

    async def GetWorkspace(self, request: rpc.GetWorkspaceRequest, call: Any) -> rpc.GetWorkspaceResponse:
        await self._registry.catch_up()  # what was just written may have been by another replica
        workspace = self._registry.get(context.meant_workspace(request.workspace))
        return rpc.GetWorkspaceResponse(workspace=to_message(in_use(workspace) if context.identity() else workspace))

    async def CreateWorkspace(self, request: rpc.CreateWorkspaceRequest, call: Any) -> rpc.CreateWorkspaceResponse:
        actor = actor_of(context.identity())
        made, saga_id = await self._parts.creation.create(
            request.name, request.display_name, request.idempotency_key, asked(request), actor
        )
        return rpc.CreateWorkspaceResponse(workspace=to_message(made) if made else None, saga_id=saga_id)

    async def UpdateWorkspace(self, request: rpc.UpdateWorkspaceRequest, call: Any) -> rpc.UpdateWorkspaceResponse:
        tenant = context.identity()
        edit = edit_of(request, can_suspend=tenant is None)
        changed = await self._parts.edits.update(request.workspace, edit, actor_of(tenant))
        return rpc.UpdateWorkspaceResponse(workspace=to_message(changed))

    async def DeleteWorkspace(self, request: rpc.DeleteWorkspaceRequest, call: Any) -> rpc.DeleteWorkspaceResponse:
        await self._parts.edits.delete(request.workspace, actor_of(context.identity()))
        return rpc.DeleteWorkspaceResponse()

    # Bases and templates

    async def ConnectBase(self, request: rpc.ConnectBaseRequest, call: Any) -> rpc.ConnectBaseResponse:
        base = NewBase(
            request.base_id,
            request.name,
            access_name(request.access) or "ReadWrite",
            tuple(request.tables),
            request.is_default,
            request.template,
        )
        actor = actor_of(context.identity())
        bound, saga_id = await self._parts.creation.connect(request.workspace, base, request.idempotency_key, actor)
        return rpc.ConnectBaseResponse(base=binding_message(bound) if bound else None, saga_id=saga_id)

    async def DisconnectBase(self, request: rpc.DisconnectBaseRequest, call: Any) -> rpc.DisconnectBaseResponse:
        await self._parts.edits.disconnect(request.workspace, request.base, actor_of(context.identity()))
        return rpc.DisconnectBaseResponse()

    async def ListTemplates(self, request: rpc.ListTemplatesRequest, call: Any) -> rpc.ListTemplatesResponse:
        found = [
            rpc.Template(
                name=template.name,
                title=template.title,
                description=template.description,
                tables=[table.name for table in template.tables],
            )
            for template in templates()
        ]
        return rpc.ListTemplatesResponse(templates=found)

    async def ApplyTemplate(self, request: rpc.ApplyTemplateRequest, call: Any) -> rpc.ApplyTemplateResponse:
        template = template_named(request.template)
        workspace = in_use(self._registry.get(request.workspace))
        actor = actor_of(context.identity())
        created, kept = await self._parts.templates.apply(workspace, request.base, template, actor)
        return rpc.ApplyTemplateResponse(created=created, kept=kept)

    async def ListAuditLog(self, request: rpc.ListAuditLogRequest, call: Any) -> rpc.ListAuditLogResponse:
        workspace = self._registry.get(request.workspace)
        entries, token = await self._parts.audit.page(
            workspace.name,
            workspace.tenant,
            request.action_prefix,
            request.page_size or DEFAULT_PAGE_SIZE,
            request.page_token,
        )
        return rpc.ListAuditLogResponse(entries=map(entry_message, entries), next_page_token=token)

    # The registry

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


def entry_message(entry: Entry) -> rpc.AuditEntry:
    """An entry of the log as the contract's message."""
    message = rpc.AuditEntry(
        event_id=entry.event_id, action=entry.action, principal=entry.principal, subject=entry.subject
    )
    message.occurred_at.FromDatetime(entry.occurred_at)
    message.details.update(dict(entry.details))
    return message
