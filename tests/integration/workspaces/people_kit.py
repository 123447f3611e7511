"""Two replicas of the whole service with everything around, and people who call it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from integration.workspaces.stand_ins import API_KEY, Around

from pyairtable_platform.common.status import from_rpc_error
from pyairtable_platform.common.testing import started
from pyairtable_platform.workspaces.main import Settings, build
from pyairtable_protos.common.v1 import person_data_pb2, person_data_pb2_grpc
from pyairtable_protos.workspaces.v1 import (
    member_service_pb2,
    member_service_pb2_grpc,
    provisioning_service_pb2,
    provisioning_service_pb2_grpc,
    workspace_pb2,
    workspace_service_pb2,
    workspace_service_pb2_grpc,
)

SERVICES = (
    (workspace_service_pb2, workspace_service_pb2_grpc.WorkspaceServiceStub),
    (member_service_pb2, member_service_pb2_grpc.MemberServiceStub),
    (provisioning_service_pb2, provisioning_service_pb2_grpc.ProvisioningServiceStub),
    (person_data_pb2, person_data_pb2_grpc.PersonDataServiceStub),
)


class Door:
    """One replica: calls any RPC by its name."""

    def __init__(self, channel: grpc.aio.Channel, http_url: str) -> None:
        self.channel = channel
        self.http_url = http_url

    async def ask(self, rpc: str, metadata: tuple[tuple[str, str], ...], **fields: Any) -> Any:
        """The answer; raises our errors."""
        for module, stub in SERVICES:
            if request := getattr(module, f"{rpc}Request", None):
                try:
                    method = getattr(stub(self.channel), rpc)
                    return await method(request(**fields), metadata=metadata, timeout=60)
                except grpc.aio.AioRpcError as error:
                    raise from_rpc_error(error) from error
        raise LookupError(rpc)


@dataclass
class Person:
    """Somebody with an account."""

    installation: Installation
    user_id: str
    email: str

    async def ask(self, rpc: str, *, own: Any = "", door: Any = 0, session: Any = "", **fields: Any) -> Any:
        """Call as this person; in the workspace of the request with the role `own`, in none without one."""
        workspace = fields.get("workspace", "") if own else ""
        token = self.installation.around.auth.token(f"user:{self.user_id}", workspace, own, session)
        return await self.installation.doors[door].ask(rpc, (("authorization", f"Bearer {token}"),), **fields)


@dataclass
class Installation:
    """The replicas and what is around them."""

    around: Around
    doors: list[Door]
    database_url: str

    def person(self, name: str, email: str = "") -> Person:
        """Somebody who has proved an address."""
        user_id = uuid.uuid4().hex
        self.around.auth.accounts[user_id] = email or f"{name}@acme.example"
        return Person(self, user_id, self.around.auth.accounts[user_id])

    async def peer(self, rpc: str, *, door: Any = 0, **fields: Any) -> Any:
        """Call as a service of the installation."""
        return await self.doors[door].ask(rpc, (("x-api-key", API_KEY),), **fields)

    async def key(self, rpc: str, own: str, *, workspace: str, **fields: Any) -> Any:
        """Call with an access key of a workspace."""
        token = self.around.auth.token("access-key:k1", workspace, own)
        return await self.doors[0].ask(rpc, (("authorization", f"Bearer {token}"),), workspace=workspace, **fields)

    async def workspace(self, owner: Person, name: str = "acme", key: str = "") -> str:
        """A workspace that the person made, by the steps of the saga."""
        key = key or uuid.uuid4().hex
        given = {"owner_user_id": owner.user_id, "owner_email": owner.email, "display_name": name.capitalize()}
        await self.peer("ReserveWorkspace", name=name, idempotency_key=f"{key}:reserve", **given)
        await self.peer("DeclareWorkspace", name=name, idempotency_key=f"{key}:declare")
        await self.peer("ActivateWorkspace", name=name, idempotency_key=f"{key}:activate")
        return name

    async def declare(self, name: str = "acme", *owners: str, uid: str = "uid-1", generation: int = 1) -> None:
        """A workspace that a custom resource declares, with people as owners."""
        wanted = workspace_pb2.Workspace(name=name)
        wanted.owners.extend(workspace_pb2.Owner(kind="User", name=owner) for owner in owners)
        source = workspace_pb2.Source(kind="Workspace", uid=uid, generation=generation)
        await self.peer("ApplyWorkspace", workspace=wanted, source=source)

    async def join(self, workspace: str, owner: Person, name: str, role: str) -> Person:
        """Somebody who was invited and has accepted."""
        person = self.person(name)
        made = await owner.ask("CreateInvitation", own="owner", workspace=workspace, email=person.email, role=role)
        await person.ask("AcceptInvitation", invitation_id=made.invitation.invitation_id)
        return person


@asynccontextmanager
async def running_installation(
    around: Around, database_url: str, redis_url: str, *, replicas: int = 2, **changes: Any
) -> AsyncIterator[Installation]:
    """Replicas over one database."""
    settings = Settings.model_validate(
        {
            "http_port": 0,
            "grpc_port": 0,
            "shutdown_delay_seconds": 0,
            "shutdown_grace_seconds": 1,
            "database_url": database_url,
            "redis_url": redis_url,
            "api_key": API_KEY,
            "auth_target": around.target,
            "sagas_target": around.target,
            "airtable_gateway_target": around.target,
            **changes,
        }
    )
    async with AsyncExitStack() as opened:
        doors = []
        for _ in range(replicas):
            server = await opened.enter_async_context(started(build, settings))
            channel = await opened.enter_async_context(grpc.aio.insecure_channel(server.addresses.grpc_target))
            doors.append(Door(channel, server.addresses.http_url))
        yield Installation(around, doors, database_url)
