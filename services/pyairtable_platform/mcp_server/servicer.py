"""The tools as ToolService: messages to plain values and back."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from google.api import httpbody_pb2

from pyairtable_platform.common.values import dict_to_struct, struct_to_dict
from pyairtable_protos.tools.v1 import tool_service_pb2 as rpc

from .registry import ToolOfAny, all_tools, input_schema, output_schema
from .service import Caller, ToolService, as_text, usable_tools
from .tool import Access

CSV_TYPE = "text/csv; charset=utf-8"

_ACCESS = {
    Access.READ: rpc.TOOL_ACCESS_READ,
    Access.WRITE: rpc.TOOL_ACCESS_WRITE,
    Access.DESTROY: rpc.TOOL_ACCESS_DESTROY,
    Access.SCHEMA: rpc.TOOL_ACCESS_SCHEMA,
}


class ToolServicer:
    """Implements pyairtable.tools.v1.ToolService."""

    def __init__(self, service: ToolService) -> None:
        self._service = service

    async def ListTools(self, request: rpc.ListToolsRequest, call: Any) -> rpc.ListToolsResponse:
        return listed(usable_tools())

    async def CallTool(self, request: rpc.CallToolRequest, call: Any) -> rpc.CallToolResponse:
        caller = Caller(request.workspace, request.idempotency_key)
        structured = await self._service.call(request.name, struct_to_dict(request.arguments), caller)
        return rpc.CallToolResponse(
            content=[rpc.ToolContent(type="text", text=as_text(structured))],
            structured_content=dict_to_struct(structured),
        )

    async def ExportTableCsv(
        self, request: rpc.ExportTableCsvRequest, call: Any
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        pieces = self._service.export_csv(export_arguments(request), Caller(request.workspace))
        async with aclosing(pieces):
            async for piece in pieces:
                yield httpbody_pb2.HttpBody(content_type=CSV_TYPE, data=piece.encode())


@functools.cache
def listed(names: tuple[str, ...]) -> rpc.ListToolsResponse:
    """These tools; made once for each role, for their schemas are large and never change."""
    return rpc.ListToolsResponse(tools=[to_message(all_tools()[name]) for name in names])


def to_message(tool: ToolOfAny) -> rpc.Tool:
    """A tool with its schemas."""
    return rpc.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=dict_to_struct(input_schema(tool.name)),
        output_schema=dict_to_struct(output_schema(tool.name)),
        annotations=rpc.ToolAnnotations(
            read_only=tool.read_only, destructive=tool.destructive, idempotent=tool.idempotent
        ),
        access=_ACCESS[tool.access],
    )


def export_arguments(request: rpc.ExportTableCsvRequest) -> dict[str, Any]:
    """The request as arguments of the export."""
    return {
        "base_id": request.base_id,
        "table_id": request.table_id,
        "fields": list(request.fields),
        "view": request.view,
        "filter_by_formula": request.filter_by_formula,
        "max_records": request.max_records,
        "values": "raw" if request.raw_values else "display",
        "time_zone": request.time_zone or "utc",
        "escape_formulas": not request.keep_formulas,
    }
