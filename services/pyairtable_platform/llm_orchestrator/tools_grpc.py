"""The tool server over gRPC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.values import dict_to_struct, struct_to_dict
from pyairtable_protos.tools.v1 import tool_service_pb2 as rpc
from pyairtable_protos.tools.v1 import tool_service_pb2_grpc

from .ports import Tool, ToolCall

LIST_SECONDS = 10.0


class GrpcTools:
    """ports.ToolServer over pyairtable.tools.v1.ToolService."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._channel = channel
        self._stub: Any = tool_service_pb2_grpc.ToolServiceStub(channel.channel)

    async def list_tools(self) -> Sequence[Tool]:
        """Every tool there is."""
        response = await self._channel.call(self._stub.ListTools, rpc.ListToolsRequest(), timeout=LIST_SECONDS)
        return [
            Tool(tool.name, tool.description, struct_to_dict(tool.input_schema), tool.annotations.read_only)
            for tool in response.tools
        ]

    async def call(self, call: ToolCall) -> dict[str, Any]:
        """Run a tool and return its structured result."""
        request = rpc.CallToolRequest(
            workspace=call.workspace,
            name=call.name,
            arguments=dict_to_struct(call.arguments),
            idempotency_key=call.idempotency_key,
        )
        response = await self._channel.call(self._stub.CallTool, request, timeout=call.timeout)
        return struct_to_dict(response.structured_content)
