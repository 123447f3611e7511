"""A tool server that dies in the middle of a call over MCP, or takes too long, is told as such, not as INTERNAL."""

from __future__ import annotations

import asyncio

import pytest

from pyairtable_platform.common.errors import DeadlineExceeded, PyAirtableError, Unavailable
from pyairtable_platform.llm_orchestrator.ports import ToolCall
from pyairtable_platform.llm_orchestrator.tools_mcp import McpTools

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n"
CALL = ToolCall(workspace="", name="change", arguments={}, idempotency_key="run:1.1", timeout=10)
SLOW = ToolCall(workspace="", name="change", arguments={}, idempotency_key="run:1.1", timeout=0.2)


@pytest.mark.parametrize(
    ("answer", "stays", "call", "expected"),
    [
        (b"", False, CALL, Unavailable),
        (HEAD % b"application/json", False, CALL, Unavailable),
        (HEAD % b"text/event-stream", False, CALL, Unavailable),
        (b"", True, SLOW, DeadlineExceeded),
    ],
    ids=["before-the-answer", "in-json", "in-events", "too-slow"],
)
async def test_a_lost_answer(answer: bytes, stays: bool, call: ToolCall, expected: type[PyAirtableError]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if stays:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        tools = McpTools(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp")
        try:
            with pytest.raises(expected):
                await tools.call(call)
        finally:
            await tools.close()
