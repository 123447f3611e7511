"""Overhead of our own parts: a read through the gateway, a tool over MCP, gRPC and REST, and the memory of it all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import httpx2
import psutil
from benchmarks.cpu import process_name
from benchmarks.system import AIRTABLE_TOKEN, BASE_ID, System
from benchmarks.timing import Way, interleaved
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.values import dict_to_struct
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as airtable
from pyairtable_protos.airtable.v1.airtable_gateway_service_pb2_grpc import AirtableGatewayServiceStub
from pyairtable_protos.tools.v1 import tool_service_pb2 as tools
from pyairtable_protos.tools.v1.tool_service_pb2_grpc import ToolServiceStub

TABLE = "Projects"
PAUSE = 0.03  # seconds between calls, so that even the raised pace of the limiter is not what is measured


async def gateway_read(system: System, rounds: int) -> dict[str, Any]:
    """The same page of a table: straight from the emulator, and through the gateway over gRPC and REST."""
    path = f"/bases/{BASE_ID}/tables/{TABLE}/records"
    async with (
        client({"authorization": f"Bearer {AIRTABLE_TOKEN}"}) as airtable_client,
        client(system.bearer()) as http,
        ServiceChannel(system.grpc(9002)) as channel,
    ):
        stub: Any = AirtableGatewayServiceStub(channel.channel)
        request = airtable.ListRecordsRequest(base_id=BASE_ID, table_id=TABLE)
        ways: Mapping[str, Way] = {
            "emulator, direct": lambda: get(airtable_client, f"{system.airtable}/v0/{BASE_ID}/{TABLE}"),
            "gateway, gRPC": partial(stub.ListRecords, request, **system.shown()),
            "gateway, REST": lambda: get(http, f"{system.http(8002)}{path}"),
        }
        return await interleaved(ways, rounds=rounds, pause=PAUSE)


async def tool_call(system: System, rounds: int) -> dict[str, Any]:
    """The tool get_records over every door; each call also passes the gateway."""
    arguments = {"table_id": TABLE, "max_records": 10}
    body = {"name": "get_records", "arguments": arguments}
    request = tools.CallToolRequest(name="get_records", arguments=dict_to_struct(arguments))
    async with (
        client(system.bearer()) as http,
        ServiceChannel(system.grpc(9001)) as channel,
        ServiceChannel(system.grpc(9000)) as door,
        Client(streamable_http_client(f"{system.http(8001)}/mcp", http_client=http)) as mcp,
    ):
        stub: Any = ToolServiceStub(channel.channel)
        through_door: Any = ToolServiceStub(door.channel)
        ways: Mapping[str, Way] = {
            "gRPC": partial(stub.CallTool, request, **system.shown()),
            "REST": lambda: post(http, f"{system.http(8001)}/tools/call", body),
            "MCP, official client": lambda: mcp.call_tool("get_records", arguments),
            "gRPC through the door": partial(through_door.CallTool, request, **system.shown()),
            "REST through the door": lambda: post(http, f"{system.http(8000)}/api/tools/call", body),
        }
        return await interleaved(ways, rounds=rounds, pause=PAUSE)


def memory(system: System) -> dict[str, float]:
    """Proportional memory (PSS) of each process in MiB: shared pages are counted once over all."""
    found: dict[str, float] = {}
    for process in psutil.Process(system.command.process.pid).children(recursive=True):
        name = process_name(process.cmdline())
        used = process.memory_full_info().pss / 2**20
        found[name] = round(found.get(name, 0.0) + used, 1)
    return dict(sorted(found.items()))


def client(headers: Mapping[str, str]) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False)


async def get(http: httpx2.AsyncClient, url: str) -> None:
    (await http.get(url)).raise_for_status()


async def post(http: httpx2.AsyncClient, url: str, body: Mapping[str, Any]) -> None:
    (await http.post(url, json=body)).raise_for_status()
