"""The tool server over MCP (streamable HTTP).

The protocol is stateless since 2026-07-28, so that a client per call costs no handshake: what is kept is the pool of
HTTP connections below it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, CallToolResult, TextContent
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from pyairtable_platform.common import context
from pyairtable_platform.common.errors import DeadlineExceeded, Internal, PyAirtableError, Reason, Unavailable
from pyairtable_platform.common.tracing import outgoing_headers

from .failures import error_of
from .ports import Tool, ToolCall

IDEMPOTENCY_KEY = "pyairtable.dev/idempotency-key"
WORKSPACE = "pyairtable.dev/workspace"
LIST_SECONDS = 10.0


class McpTools:
    """ports.ToolServer over MCP. Who opens it closes it."""

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        self._url = url
        self._http = httpx2.AsyncClient(
            headers={context.API_KEY_HEADER: api_key} if api_key else None,
            timeout=httpx2.Timeout(600, connect=5),  # calls are bounded by their caller
            limits=httpx2.Limits(max_connections=None),
            event_hooks={"request": [_add_headers]},
            trust_env=False,  # a peer inside the platform, never behind a proxy
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def list_tools(self) -> Sequence[Tool]:
        """Every tool there is."""
        tools: list[Tool] = []
        async with self._client(LIST_SECONDS) as client:
            cursor: str | None = None
            while True:
                page = await client.list_tools(cursor=cursor)
                for tool in page.tools:
                    read_only = bool(tool.annotations and tool.annotations.read_only_hint)
                    tools.append(Tool(tool.name, tool.description or "", tool.input_schema, read_only))
                cursor = page.next_cursor
                if cursor is None:
                    return tools

    async def call(self, call: ToolCall) -> dict[str, Any]:
        """Run a tool and return its structured result."""
        meta: Any = {IDEMPOTENCY_KEY: call.idempotency_key, WORKSPACE: call.workspace}
        async with self._client(call.timeout) as client:
            result = await client.call_tool(call.name, dict(call.arguments), meta=meta)
        if result.is_error:
            raise _tool_error(result)
        return dict(result.structured_content) if result.structured_content is not None else {"text": _text(result)}

    @asynccontextmanager
    async def _client(self, timeout: float) -> AsyncIterator[Client]:
        transport = streamable_http_client(self._url, http_client=self._http)
        client = Client(transport, mode=MODERN_PROTOCOL_VERSIONS[-1], read_timeout_seconds=timeout, cache=None)
        try:
            async with client:
                yield client
        except (MCPError, httpx2.TransportError) as error:
            raise _away(error) from error
        except BaseExceptionGroup as group:  # task groups of the SDK wrap what happened in them
            inner = _only(group)
            if isinstance(inner, (MCPError, httpx2.TransportError)):
                raise _away(inner) from group
            raise inner from group


async def _add_headers(request: httpx2.Request) -> None:
    """Request id, tenant, identity and trace of the call that this one serves."""
    if context.request_id():
        request.headers[context.REQUEST_ID_HEADER] = context.request_id()
    if context.current().tenant:
        request.headers[context.TENANT_HEADER] = context.current().tenant
    if context.current().role:
        request.headers[context.ROLE_HEADER] = context.current().role
    if tenant := context.identity():
        request.headers[context.AUTHORIZATION_HEADER] = f"Bearer {await tenant.forwarded_token()}"
    request.headers.update(outgoing_headers())


def _tool_error(result: CallToolResult) -> PyAirtableError:
    """An error result as an error: our tools tell reason and message as data, others say something."""
    told = (result.structured_content or {}).get("error")
    if isinstance(told, dict) and "reason" in told:
        return error_of(str(told["reason"]), str(told.get("message", "")))
    return error_of(Reason.INVALID_INPUT, _text(result) or "the tool failed and did not say why")


def _text(result: CallToolResult) -> str:
    return "\n".join(item.text for item in result.content if isinstance(item, TextContent))


def _away(error: Exception) -> PyAirtableError:
    if isinstance(error, MCPError) and error.code == REQUEST_TIMEOUT:
        return DeadlineExceeded("the tool server did not answer in time")
    # The SDK tells of a connection that broke in the middle of a call by this code, not by an error of transport.
    if isinstance(error, MCPError) and error.code != CONNECTION_CLOSED:
        return Internal(f"the tool server did not understand the call: {error}")
    return Unavailable("the tool server cannot be reached", dependency="mcp-server")


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner
