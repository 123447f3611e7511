"""Wires the tool server: one registry behind gRPC, REST, MCP over HTTP and MCP over stdio."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stdout
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from pyairtable_platform.common.channels import ServiceChannel, open_channel
from pyairtable_platform.common.errors import Reason, Unavailable
from pyairtable_platform.common.health import Check
from pyairtable_platform.common.logs import configure_logging
from pyairtable_platform.common.server import Service, Servicer
from pyairtable_protos.tools.v1 import tool_service_pb2, tool_service_pb2_grpc

from .gateway import GrpcGateway
from .model import Gateway
from .protocol.http import McpEndpoint
from .protocol.server import build_mcp_server
from .protocol.stdio import serve_stdio
from .service import ToolService
from .servicer import ToolServicer
from .settings import Settings, StdioSettings

__all__ = ["Settings", "StdioSettings", "build", "run_stdio"]

NAME = "mcp-server"


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """The tool server over the gateway at AIRTABLE_GATEWAY_TARGET."""
    async with open_channel(settings.airtable_gateway_target, settings) as channel:
        yield wire(settings, GrpcGateway(channel), {"airtable-gateway": gateway_check(channel)})


def wire(settings: Settings, gateway: Gateway, checks: dict[str, Check]) -> Service:
    """The service over any gateway."""
    service = ToolService(gateway)
    endpoint = McpEndpoint(build_mcp_server(service, settings), settings)
    return Service(
        name=NAME,
        title="MCP Server",
        servicers=[
            Servicer(
                ToolServicer(service),
                tool_service_pb2_grpc.add_ToolServiceServicer_to_server,
                tool_service_pb2.DESCRIPTOR.services_by_name["ToolService"],
            )
        ],
        checks=checks,
        routes=[endpoint.route()],
        notes=["MCP conformance fixtures are on"] if settings.mcp_conformance_fixtures else [],
        background=[endpoint.run],
    )


def gateway_check(channel: ServiceChannel) -> Check:
    """Asks the gateway whether it serves."""
    stub: Any = health_pb2_grpc.HealthStub(channel.channel)

    async def check() -> None:
        answer = await channel.call(stub.Check, health_pb2.HealthCheckRequest(), timeout=2)
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise Unavailable("the Airtable gateway is not ready", reason=Reason.DEPENDENCY_UNAVAILABLE)

    return check


def run_stdio(settings: StdioSettings) -> None:
    """Serve MCP over standard input and output until the client closes it. Logs go to standard error."""
    # The kit logs to what standard output is now; over stdio that belongs to the protocol.
    with redirect_stdout(sys.stderr):
        configure_logging(NAME, "DEBUG" if settings.debug else settings.log_level)
    asyncio.run(_stdio(settings))


async def _stdio(settings: StdioSettings) -> None:
    async with ServiceChannel(settings.airtable_gateway_target, api_key=settings.shown_key()) as channel:
        await serve_stdio(build_mcp_server(ToolService(GrpcGateway(channel)), settings))
