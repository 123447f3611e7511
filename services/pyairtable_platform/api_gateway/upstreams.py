"""The services behind the door: which parts of the contract each serves, and the channel to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pyairtable_platform.common.channels import ServiceChannel, open_channel
from pyairtable_platform.common.errors import DeadlineExceeded, Unavailable
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2
from pyairtable_protos.auth.v1 import account_service_pb2, auth_service_pb2
from pyairtable_protos.chat.v1 import chat_service_pb2
from pyairtable_protos.sagas.v1 import saga_service_pb2
from pyairtable_protos.tools.v1 import tool_service_pb2
from pyairtable_protos.users.v1 import user_service_pb2
from pyairtable_protos.workspaces.v1 import member_service_pb2, workspace_service_pb2

from .settings import Settings


@dataclass(frozen=True)
class Upstream:
    """A process behind the door, and the services of the contract that it serves."""

    name: str
    title: str
    services: Sequence[ServiceDescriptor]
    channel: ServiceChannel

    async def check(self, timeout: float) -> None:
        """Return when it serves, by gRPC's health protocol; else raise Unavailable, after `timeout` seconds at most."""
        stub: Any = health_pb2_grpc.HealthStub(self.channel.channel)
        try:
            answer = await self.channel.call(stub.Check, health_pb2.HealthCheckRequest(), timeout=timeout)
        except DeadlineExceeded as error:
            raise Unavailable(f"no answer within {timeout:g} s", dependency=self.name) from error
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise Unavailable("it runs but is not ready: its own /health says why", dependency=self.name)


@asynccontextmanager
async def open_upstreams(settings: Settings) -> AsyncIterator[list[Upstream]]:
    """Channels to every process. They connect when they are used, so that no order of starting is needed."""
    async with AsyncExitStack() as stack:
        upstreams = []
        for name, title, target, services in known_processes(settings):
            channel = await stack.enter_async_context(open_channel(target, settings))
            upstreams.append(Upstream(name, title, services, channel))
        yield upstreams


def known_processes(settings: Settings) -> list[tuple[str, str, str, Sequence[ServiceDescriptor]]]:
    """Name, title, target and services of the contract, for each process behind the door.

    ProvisioningService and PersonDataService are for peers only, who call the process itself: the door offers neither.
    """
    known: list[tuple[str, str, str, Sequence[ServiceDescriptor]]] = [
        ("llm-orchestrator", "LLM Orchestrator", settings.llm_orchestrator_target, services_of(chat_service_pb2)),
        ("mcp-server", "MCP Server", settings.mcp_server_target, services_of(tool_service_pb2)),
        (
            "airtable-gateway",
            "Airtable Gateway",
            settings.airtable_gateway_target,
            services_of(airtable_gateway_service_pb2),
        ),
        ("users", "User Service", settings.users_target, services_of(user_service_pb2)),
        (
            "workspaces",
            "Workspace Service",
            settings.workspaces_target,
            services_of(workspace_service_pb2, member_service_pb2),
        ),
        ("sagas", "Saga Service", settings.sagas_target, services_of(saga_service_pb2)),
    ]
    auth = services_of(auth_service_pb2, account_service_pb2)
    return [*known, ("auth", "Auth Service", settings.auth_target, auth)] if settings.auth_target else known


def services_of(*modules: Any) -> tuple[ServiceDescriptor, ...]:
    """The services that generated modules declare."""
    return tuple(service for module in modules for service in module.DESCRIPTOR.services_by_name.values())
