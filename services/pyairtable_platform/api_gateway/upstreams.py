"""The services behind the door: which parts of the contract each serves, and the channel to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pyairtable_platform.common.channels import ServiceChannel, open_channel
from pyairtable_platform.common.errors import DeadlineExceeded, Unavailable
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2
from pyairtable_protos.auth.v1 import auth_service_pb2
from pyairtable_protos.chat.v1 import chat_service_pb2
from pyairtable_protos.tools.v1 import tool_service_pb2
from pyairtable_protos.workspaces.v1 import workspace_service_pb2

from .settings import Settings


@dataclass(frozen=True)
class Upstream:
    """A service behind the door."""

    name: str
    title: str
    descriptor: ServiceDescriptor
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
    """Channels to every service. They connect when they are used, so that no order of starting is needed."""
    async with AsyncExitStack() as stack:
        upstreams = []
        for name, title, target, services in known_services(settings):
            channel = await stack.enter_async_context(open_channel(target, settings))
            upstreams.append(Upstream(name, title, services, channel))
        yield upstreams


def known_services(settings: Settings) -> list[tuple[str, str, str, ServiceDescriptor]]:
    """Name, title, target and service of the contract, for each process behind the door."""
    chat = chat_service_pb2.DESCRIPTOR.services_by_name["ChatService"]
    tools = tool_service_pb2.DESCRIPTOR.services_by_name["ToolService"]
    airtable = airtable_gateway_service_pb2.DESCRIPTOR.services_by_name["AirtableGatewayService"]
    workspaces = workspace_service_pb2.DESCRIPTOR.services_by_name["WorkspaceService"]
    auth = auth_service_pb2.DESCRIPTOR.services_by_name["AuthService"]
    known = [
        ("llm-orchestrator", "LLM Orchestrator", settings.llm_orchestrator_target, chat),
        ("mcp-server", "MCP Server", settings.mcp_server_target, tools),
        ("airtable-gateway", "Airtable Gateway", settings.airtable_gateway_target, airtable),
        ("workspaces", "Workspace Service", settings.workspaces_target, workspaces),
    ]
    return [*known, ("auth", "Auth Service", settings.auth_target, auth)] if settings.auth_target else known
