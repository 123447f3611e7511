"""Both ways to the tool server, against the real one over a gateway in memory: the same tools, results and errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from unit.mcp_server.fake_gateway import FakeGateway, text_field

from pyairtable_devkit.ports import free_port
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.errors import InvalidInput, NotFound, Reason, Unavailable
from pyairtable_platform.common.server import RunningService, Service
from pyairtable_platform.common.testing import started
from pyairtable_platform.llm_orchestrator.ports import ToolCall, ToolServer
from pyairtable_platform.llm_orchestrator.tools_grpc import GrpcTools
from pyairtable_platform.llm_orchestrator.tools_mcp import McpTools
from pyairtable_platform.mcp_server.main import Settings, wire

CALL = ToolCall(workspace="acme", name="list_tables", arguments={}, idempotency_key="run:1.1", timeout=20)


@pytest.fixture
def gateway() -> FakeGateway:
    fake = FakeGateway()
    fake.add_table("Tasks", [text_field("Name")], [{"Name": "Order tiles"}])
    return fake


@pytest.fixture
async def tool_server(gateway: FakeGateway) -> AsyncIterator[RunningService]:
    @asynccontextmanager
    async def build(settings: Settings) -> AsyncIterator[Service]:
        yield wire(settings, gateway, {})

    settings = Settings(http_port=0, grpc_port=0, shutdown_delay_seconds=0, shutdown_grace_seconds=1)
    async with started(build, settings) as server:
        yield server


@pytest.fixture(params=["mcp", "grpc"])
async def adapter(request: pytest.FixtureRequest, tool_server: RunningService) -> AsyncIterator[ToolServer]:
    if request.param == "grpc":
        async with ServiceChannel(tool_server.addresses.grpc_target) as channel:
            yield GrpcTools(channel)
    else:
        over_mcp = McpTools(f"{tool_server.addresses.http_url}/mcp")
        yield over_mcp
        await over_mcp.close()


async def test_tools_are_listed_with_what_they_take(adapter: ToolServer) -> None:
    listed = {tool.name: tool for tool in await adapter.list_tools()}
    assert len(listed) == 16
    assert listed["list_tables"].read_only and not listed["create_record"].read_only
    assert listed["list_tables"].takes("base_id")


async def test_a_result_is_its_structured_content(adapter: ToolServer) -> None:
    result = await adapter.call(CALL)
    assert [table["name"] for table in result["tables"]] == ["Tasks"]


async def test_errors_keep_their_reason(adapter: ToolServer) -> None:
    with pytest.raises(NotFound) as caught:
        await adapter.call(replace(CALL, name="get_records", arguments={"table_id": "Nowhere"}))
    assert caught.value.reason is Reason.TABLE_NOT_FOUND
    with pytest.raises(InvalidInput):
        await adapter.call(replace(CALL, name="get_records", arguments={"no_such_argument": 1}))


async def test_workspace_and_idempotency_key_reach_the_gateway(adapter: ToolServer, gateway: FakeGateway) -> None:
    await adapter.call(CALL)
    assert gateway.workspaces == ["acme"]
    arguments = {"table_id": "Tasks", "fields": {"Name": "New"}}
    await adapter.call(replace(CALL, name="create_record", arguments=arguments))
    assert gateway.writes[-1].options.idempotency_key.startswith("run:1.1")


@pytest.mark.parametrize("kind", ["mcp", "grpc"])
async def test_a_server_that_is_away_is_unavailable(kind: str) -> None:
    port = free_port()
    async with ServiceChannel(f"127.0.0.1:{port}") as channel:
        over_mcp = McpTools(f"http://127.0.0.1:{port}/mcp")
        away: ToolServer = over_mcp if kind == "mcp" else GrpcTools(channel)
        with pytest.raises(Unavailable) as caught:
            await away.call(CALL)
        assert caught.value.reason is Reason.DEPENDENCY_UNAVAILABLE
        await over_mcp.close()


async def test_a_chat_over_mcp(start_chats: Any, tool_server: RunningService) -> None:
    url = f"{tool_server.addresses.http_url}/mcp"
    async with start_chats(use_http_mcp=True, mcp_server_url=url) as chats:
        answer = await chats.chat("List all tables in my Airtable base")
    assert "Tasks" in answer.response
