"""MCP over standard input and output: the command that desktop clients start."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import pytest
from integration.mcp_server.end_to_end.conftest import System
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from pyairtable_platform.mcp_server.registry import all_tools

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

COMMAND = ["-m", "pyairtable_platform.cli", "mcp-stdio"]


def environment(system: System, **more: str) -> dict[str, str]:
    return {**os.environ, "AIRTABLE_GATEWAY_TARGET": system.gateway_target, **more}


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_sdk_client_lists_and_calls_the_same_tools(system: System, mode: str) -> None:
    server = StdioServerParameters(command=sys.executable, args=COMMAND, env=environment(system))
    expected = await system.tool("list_tables")
    async with Client(server, mode=mode, read_timeout_seconds=120) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == list(all_tools())
        result = await client.call_tool("list_tables", {})
        failed = await client.call_tool("get_records", {"table_id": "Nope"})
    assert result.structured_content == expected
    assert failed.is_error and failed.structured_content["error"]["reason"] == "TABLE_NOT_FOUND"


async def test_standard_output_holds_the_protocol_and_nothing_else(system: System) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(system, LOG_LEVEL="DEBUG"),
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"this is no JSON\n" + line(1, "initialize", INITIALIZE) + line(2, "tools/list", {}))
    await process.stdin.drain()
    answers: list[dict[str, Any]] = []
    while not any(answer.get("id") == 2 for answer in answers):
        answers.append(json.loads(await asyncio.wait_for(process.stdout.readline(), 120)))
    process.stdin.close()
    rest, errors = await asyncio.wait_for(process.communicate(), 60)
    assert rest == b""
    assert process.returncode == 0, errors.decode()


INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


def line(number: int, method: str, params: dict[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"
