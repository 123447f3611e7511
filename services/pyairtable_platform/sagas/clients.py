"""What steps call, over gRPC: the ports of ports.py. The gateway to Airtable has a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_protos.auth.v1 import account_service_pb2 as auth_rpc
from pyairtable_protos.auth.v1 import account_service_pb2_grpc
from pyairtable_protos.common.v1 import person_data_pb2, person_data_pb2_grpc
from pyairtable_protos.users.v1 import user_service_pb2 as users_rpc
from pyairtable_protos.users.v1 import user_service_pb2_grpc
from pyairtable_protos.workspaces.v1 import provisioning_service_pb2 as provisioning_rpc
from pyairtable_protos.workspaces.v1 import (
    provisioning_service_pb2_grpc,
    workspace_pb2,
    workspace_service_pb2,
    workspace_service_pb2_grpc,
)

from .model import Json
from .people import People
from .ports import Account

_ACCESS = {
    "ReadOnly": workspace_pb2.BASE_ACCESS_READ_ONLY,
    "ReadWrite": workspace_pb2.BASE_ACCESS_READ_WRITE,
    "Schema": workspace_pb2.BASE_ACCESS_SCHEMA,
}
_STATE_PREFIX = "ACCOUNT_STATE_"
_TEMPLATE_SECONDS = 110.0


class GrpcAccounts:
    """ports.Accounts."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._stub: Any = account_service_pb2_grpc.AccountServiceStub(channel.channel)

    async def account(self, user_id: str) -> Account | None:
        request = auth_rpc.LookupAccountsRequest(user_ids=[user_id])
        answer = await self._channel.call(self._stub.LookupAccounts, request)
        for found in answer.accounts:
            state = auth_rpc.AccountState.Name(found.state).removeprefix(_STATE_PREFIX)
            return Account(found.user_id, found.email, found.user_name, state, found.display_name)
        return None

    async def set_state(self, user_id: str, state: str, key: str) -> None:
        value = auth_rpc.AccountState.Value(_STATE_PREFIX + state)
        request = auth_rpc.SetAccountStateRequest(user_id=user_id, state=value, idempotency_key=key)
        await self._channel.call(self._stub.SetAccountState, request)

    async def send_letter(self, user_id: str, template: str, values: dict[str, str], key: str) -> None:
        request = auth_rpc.SendLetterRequest(user_id=user_id, template=template, values=values, idempotency_key=key)
        await self._channel.call(self._stub.SendLetter, request)


class GrpcProfiles:
    """ports.Profiles."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._stub: Any = user_service_pb2_grpc.UserServiceStub(channel.channel)

    async def create(self, account: Account, key: str) -> bool:
        user = users_rpc.User(
            user_id=account.user_id,
            email=account.email,
            user_name=account.user_name,
            display_name=account.display_name or account.user_name,
        )
        request = users_rpc.CreateProfileRequest(user=user, idempotency_key=key)
        return bool((await self._channel.call(self._stub.CreateProfile, request)).created)

    async def undo_create(self, user_id: str, undoes: str) -> None:
        request = users_rpc.UndoCreateProfileRequest(user_id=user_id, undoes=undoes)
        await self._channel.call(self._stub.UndoCreateProfile, request)


class GrpcProvisioning:
    """ports.Provisioning."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._stub: Any = provisioning_service_pb2_grpc.ProvisioningServiceStub(channel.channel)
        self._workspaces: Any = workspace_service_pb2_grpc.WorkspaceServiceStub(channel.channel)

    async def reserve(self, name: str, display_name: str, owner: Account, key: str, *, any_name: bool) -> str:
        request = provisioning_rpc.ReserveWorkspaceRequest(
            name=name,
            display_name=display_name,
            owner_user_id=owner.user_id,
            owner_email=owner.email,
            idempotency_key=key,
            any_name=any_name,
        )
        return str((await self._channel.call(self._stub.ReserveWorkspace, request)).name)

    async def release(self, undoes: str) -> None:
        request = provisioning_rpc.ReleaseWorkspaceRequest(undoes=undoes)
        await self._channel.call(self._stub.ReleaseWorkspace, request)

    async def declare(self, name: str, key: str) -> str:
        request = provisioning_rpc.DeclareWorkspaceRequest(name=name, idempotency_key=key)
        return str((await self._channel.call(self._stub.DeclareWorkspace, request)).object)

    async def activate(self, name: str, key: str) -> None:
        request = provisioning_rpc.ActivateWorkspaceRequest(name=name, idempotency_key=key)
        await self._channel.call(self._stub.ActivateWorkspace, request)

    async def bind(self, workspace: str, binding: Json, principal: str, key: str) -> Json:
        base = workspace_pb2.BaseBinding(**{**binding, "access": _ACCESS[binding["access"]]})
        request = provisioning_rpc.BindBaseRequest(
            workspace_name=workspace, base=base, principal=principal, idempotency_key=key
        )
        bound = (await self._channel.call(self._stub.BindBase, request)).base
        return {"name": bound.name, "base_id": bound.base_id, "is_default": bound.is_default}

    async def unbind(self, undoes: str) -> None:
        await self._channel.call(self._stub.UnbindBase, provisioning_rpc.UnbindBaseRequest(undoes=undoes))

    async def apply_template(self, workspace: str, base: str, template: str) -> Json:
        request = workspace_service_pb2.ApplyTemplateRequest(workspace=workspace, base=base, template=template)
        answer = await self._channel.call(self._workspaces.ApplyTemplate, request, timeout=_TEMPLATE_SECONDS)
        return {"created": list(answer.created), "kept": list(answer.kept)}


class GrpcPersonData:
    """ports.PersonData: the other services over gRPC, and our own sagas."""

    def __init__(self, channels: Mapping[str, ServiceChannel], own: People) -> None:
        self._channels = channels
        self._own = own

    async def erase(self, service: str, user_id: str, key: str, *, dry_run: bool) -> dict[str, int]:
        if service == "sagas":
            change = self._own.check if dry_run else self._own.erase
            return {"sagas": await change(user_id)}
        channel = self._channels[service]
        stub: Any = person_data_pb2_grpc.PersonDataServiceStub(channel.channel)
        request = person_data_pb2.ErasePersonRequest(user_id=user_id, idempotency_key=key, dry_run=dry_run)
        return dict((await channel.call(stub.ErasePerson, request)).erased)
