"""ProvisioningService: messages to plain values and back."""

from __future__ import annotations

from typing import Any

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.common.workspace import binding_from_message, binding_message, to_message
from pyairtable_protos.workspaces.v1 import provisioning_service_pb2 as rpc
from pyairtable_protos.workspaces.v1 import workspace_pb2

from .service import Provisioning, Wanted


class ProvisioningServicer:
    """Implements pyairtable.workspaces.v1.ProvisioningService."""

    def __init__(self, provisioning: Provisioning) -> None:
        self._provisioning = provisioning

    async def ReserveWorkspace(self, request: rpc.ReserveWorkspaceRequest, call: Any) -> rpc.ReserveWorkspaceResponse:
        wanted = Wanted(
            request.name, request.display_name, request.owner_user_id, request.owner_email, request.any_name
        )
        name = await self._provisioning.reserve(wanted, request.idempotency_key, asked(request))
        return rpc.ReserveWorkspaceResponse(name=name)

    async def ReleaseWorkspace(self, request: rpc.ReleaseWorkspaceRequest, call: Any) -> rpc.ReleaseWorkspaceResponse:
        return rpc.ReleaseWorkspaceResponse(undone=await self._provisioning.release(request.undoes))

    async def DeclareWorkspace(self, request: rpc.DeclareWorkspaceRequest, call: Any) -> rpc.DeclareWorkspaceResponse:
        name = await self._provisioning.declare(request.name, request.idempotency_key, asked(request))
        return rpc.DeclareWorkspaceResponse(object=name)

    async def ActivateWorkspace(
        self, request: rpc.ActivateWorkspaceRequest, call: Any
    ) -> rpc.ActivateWorkspaceResponse:
        workspace = await self._provisioning.activate(request.name, request.idempotency_key, asked(request))
        return rpc.ActivateWorkspaceResponse(workspace=to_message(workspace))

    async def BindBase(self, request: rpc.BindBaseRequest, call: Any) -> rpc.BindBaseResponse:
        if request.base.access == workspace_pb2.BASE_ACCESS_UNSPECIFIED:
            raise InvalidInput.at("base.access", "must be set")
        base = await self._provisioning.bind(
            request.workspace_name,
            binding_from_message(request.base),
            request.principal,
            request.idempotency_key,
            asked(request),
        )
        return rpc.BindBaseResponse(base=binding_message(base))

    async def UnbindBase(self, request: rpc.UnbindBaseRequest, call: Any) -> rpc.UnbindBaseResponse:
        return rpc.UnbindBaseResponse(undone=await self._provisioning.unbind(request.undoes))


def asked(request: Any) -> bytes:
    """What a request asks for, without its key."""
    copy = type(request)()
    copy.CopyFrom(request)
    copy.idempotency_key = ""
    return bytes(copy.SerializeToString(deterministic=True))
