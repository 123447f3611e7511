"""tools/list and tools/call over the registry."""

from __future__ import annotations

import functools

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

from pyairtable_platform.common.errors import PyAirtableError, Reason
from pyairtable_platform.mcp_server.registry import ToolOfAny, all_tools, input_schema, output_schema
from pyairtable_platform.mcp_server.service import ToolService, as_text, usable_tools

from .calls import RequestContext, caller_of, error_object, serving, typed

ACCESS_META = "pyairtable.dev/access"


class ToolMethods:
    """The two methods of MCP that concern tools."""

    def __init__(self, service: ToolService, timeout: float) -> None:
        self._service = service
        self._timeout = timeout

    async def list_tools(self, request: RequestContext, params: PaginatedRequestParams | None) -> ListToolsResult:
        return listed(usable_tools())

    async def call_tool(self, request: RequestContext, params: CallToolRequestParams) -> CallToolResult:
        """The result of a tool, or an error result that a model can read and act on."""
        with serving(self._timeout):
            try:
                caller = caller_of(request)
                with serving(self._timeout, caller.workspace):
                    structured = await self._service.call(params.name, params.arguments or {}, caller)
            except Exception as caught:
                error = typed(caught)
                if error.reason is Reason.TOOL_NOT_FOUND:
                    # MCP: errors in finding the tool are protocol errors.
                    raise MCPError(INVALID_PARAMS, error.message, error_object(error)) from error
                return failure(error)
        text = TextContent(text=as_text(structured))
        return CallToolResult(content=[text], structured_content=structured)


@functools.cache
def listed(names: tuple[str, ...]) -> ListToolsResult:
    """These tools, made once for each role."""
    return ListToolsResult(tools=[describe(all_tools()[name]) for name in names])


def describe(tool: ToolOfAny) -> Tool:
    """A tool as MCP lists it."""
    return Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=input_schema(tool.name),
        output_schema=output_schema(tool.name),
        annotations=ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.idempotent,
            open_world_hint=False,
        ),
        _meta={ACCESS_META: tool.access.value},
    )


def failure(error: PyAirtableError) -> CallToolResult:
    """A failed call: the reason and the remedy as text, the same as structured content."""
    text = TextContent(text=f"{error.reason}: {error.message}")
    return CallToolResult(content=[text], structured_content={"error": error_object(error)}, is_error=True)
