"""gRPC, REST and MCP give the same answers and the same errors."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from google.protobuf import json_format
from mcp import Client
from mcp.shared.exceptions import MCPError
from unit.mcp_server.fake_gateway import BASE_ID, FakeGateway

from pyairtable_platform.common.errors import InvalidInput, NotFound, PyAirtableError, RateLimited, Reason
from pyairtable_platform.common.server import RunningService
from pyairtable_platform.common.testing import channel_to
from pyairtable_platform.common.values import dict_to_struct
from pyairtable_platform.mcp_server.registry import all_tools
from pyairtable_protos.tools.v1 import tool_service_pb2 as rpc
from pyairtable_protos.tools.v1.tool_service_pb2_grpc import ToolServiceStub

REVISIONS = ["legacy", "2026-07-28", "auto"]

Call = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


async def by_grpc(server: RunningService, name: str, arguments: dict[str, Any], **more: Any) -> Any:
    async with channel_to(server) as channel:
        stub: Any = ToolServiceStub(channel.channel)
        request = rpc.CallToolRequest(name=name, arguments=dict_to_struct(arguments), **more)
        return await channel.call(stub.CallTool, request)


async def by_mcp(server: RunningService, name: str, arguments: dict[str, Any], mode: str = "auto", **more: Any) -> Any:
    async with Client(f"{server.addresses.http_url}/mcp", mode=mode) as client:
        return await client.call_tool(name, arguments, **more)


async def test_all_doors_list_the_same_sixteen_tools(server: RunningService, http: httpx2.AsyncClient) -> None:
    async with channel_to(server) as channel:
        stub: Any = ToolServiceStub(channel.channel)
        listed = json_format.MessageToDict(await channel.call(stub.ListTools, rpc.ListToolsRequest()))["tools"]
    rest = (await http.get("/tools")).json()["tools"]
    async with Client(f"{server.addresses.http_url}/mcp") as client:
        mcp = (await client.list_tools()).tools
    names = list(all_tools())
    assert len(names) == 16
    assert [tool["name"] for tool in listed] == [tool["name"] for tool in rest] == [tool.name for tool in mcp] == names
    for over_rest, over_mcp in zip(rest, mcp, strict=True):
        assert over_rest["input_schema"] == over_mcp.input_schema
        assert over_rest["output_schema"] == over_mcp.output_schema
        assert over_mcp.annotations is not None
        assert over_rest["annotations"].get("read_only", False) == over_mcp.annotations.read_only_hint
        assert over_rest["annotations"].get("destructive", False) == over_mcp.annotations.destructive_hint


@pytest.mark.parametrize("mode", REVISIONS)
async def test_all_doors_give_the_same_result(server: RunningService, http: httpx2.AsyncClient, mode: str) -> None:
    arguments = {"table_id": "tasks", "max_records": 3}
    grpc = await by_grpc(server, "get_records", arguments)
    rest = (await http.post("/tools/call", json={"name": "get_records", "arguments": arguments})).json()
    mcp = await by_mcp(server, "get_records", arguments, mode)
    assert not mcp.is_error
    expected = mcp.structured_content
    assert expected["count"] == 3 and expected["has_more"]
    assert json_format.MessageToDict(grpc.structured_content) == rest["structured_content"] == expected
    assert json.loads(grpc.content[0].text) == json.loads(rest["content"][0]["text"]) == expected
    assert json.loads(mcp.content[0].text) == expected


@pytest.mark.parametrize("mode", REVISIONS)
async def test_a_failing_tool_is_an_error_at_every_door(
    server: RunningService, http: httpx2.AsyncClient, gateway: FakeGateway, mode: str
) -> None:
    gateway.fail["list_records"] = RateLimited("base is paused", retry_after=12.5)
    arguments = {"table_id": "Tasks"}
    with pytest.raises(RateLimited) as caught:
        await by_grpc(server, "get_records", arguments)
    rest = await http.post("/tools/call", json={"name": "get_records", "arguments": arguments})
    mcp = await by_mcp(server, "get_records", arguments, mode)
    assert caught.value.retry_after == 12.5
    assert (rest.status_code, rest.json()["reason"]) == (429, "RATE_LIMITED")
    assert mcp.is_error
    assert mcp.content[0].text == "RATE_LIMITED: base is paused"
    assert mcp.structured_content == {
        "error": {"reason": "RATE_LIMITED", "message": "base is paused", "retry_after_seconds": 12.5}
    }


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "table_id"),
        ({"table_id": 5}, "table_id"),
        ({"table_id": "Tasks", "max_records": 0}, "max_records"),
        ({"table_id": "Tasks", "max_records": 1.5}, "max_records"),
        ({"table_id": "Tasks", "colour": "red"}, "colour"),
        ({"table_id": "Tasks", "sort": [{"field": "Name", "direction": "up"}]}, "sort[0].direction"),
        ({"table_id": "Tasks", "sort": [{"feld": "Name"}]}, "sort[0].field"),
    ],
)
async def test_a_wrong_argument_is_named_at_every_door(
    server: RunningService, http: httpx2.AsyncClient, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await by_grpc(server, "get_records", arguments)
    rest = await http.post("/tools/call", json={"name": "get_records", "arguments": arguments})
    mcp = await by_mcp(server, "get_records", arguments)
    assert caught.value.violations[0].field == field
    assert (rest.status_code, rest.json()["errors"][0]["field"]) == (400, field)
    assert mcp.is_error and mcp.structured_content["error"]["violations"][0]["field"] == field
    assert field in mcp.content[0].text


async def test_an_unknown_tool_is_not_found(server: RunningService, http: httpx2.AsyncClient) -> None:
    with pytest.raises(NotFound, match="did you mean list_tables") as caught:
        await by_grpc(server, "list_table", {})
    assert caught.value.reason is Reason.TOOL_NOT_FOUND
    assert (await http.post("/tools/call", json={"name": "nope"})).status_code == 404
    async with Client(f"{server.addresses.http_url}/mcp") as client:
        with pytest.raises(MCPError, match="there is no tool 'nope'") as protocol:
            await client.call_tool("nope", {})
    assert protocol.value.code == -32602


async def test_what_we_did_not_foresee_stays_here(server: RunningService, gateway: FakeGateway) -> None:
    gateway.fail["list_records"] = ValueError("secret detail")  # type: ignore[assignment]
    with pytest.raises(PyAirtableError) as caught:
        await by_grpc(server, "get_records", {"table_id": "Tasks"})
    mcp = await by_mcp(server, "get_records", {"table_id": "Tasks"})
    assert mcp.is_error and mcp.structured_content["error"]["reason"] == "INTERNAL"
    for text in (caught.value.message, mcp.content[0].text):
        assert "secret" not in text and "finds it in the logs" in text


@pytest.mark.parametrize("mode", REVISIONS)
async def test_workspace_and_key_travel_through_every_door(
    server: RunningService, http: httpx2.AsyncClient, gateway: FakeGateway, mode: str
) -> None:
    arguments = {"table_id": "Tasks", "fields": {"Name": "new"}}
    await by_grpc(server, "create_record", arguments, workspace="acme", idempotency_key="k1")
    body = {"name": "create_record", "arguments": arguments, "workspace": "acme", "idempotency_key": "k2"}
    assert (await http.post("/tools/call", json=body)).status_code == 200
    meta: Any = {"pyairtable.dev/workspace": "other", "pyairtable.dev/idempotency-key": "k3"}
    await by_mcp(server, "create_record", arguments, mode, meta=meta)
    assert [write.options.idempotency_key for write in gateway.writes] == ["k1:create", "k2:create", "k3:create"]
    gateway.workspaces.clear()
    await by_mcp(server, "list_bases", {}, mode, meta=meta)
    assert gateway.workspaces == ["other"]
    bad = await by_mcp(server, "list_bases", {}, mode, meta={"pyairtable.dev/workspace": 7})
    assert bad.is_error and "pyairtable.dev/workspace" in bad.content[0].text


async def test_the_workspace_header_selects_when_meta_does_not(server: RunningService, gateway: FakeGateway) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_bases", "arguments": {}}}
    headers = {"accept": "application/json, text/event-stream", "pyairtable-workspace": "acme"}
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{server.addresses.http_url}/mcp", json=request, headers=headers)
    assert answer.json()["result"]["structuredContent"]["bases"][0]["id"] == BASE_ID
    assert gateway.workspaces == ["acme"]
