"""All tools, by name: what MCP, gRPC and REST serve."""

from __future__ import annotations

import functools
from typing import Any

from .schemas import json_schema
from .tool import Tool
from .tools import analysis, batches, duplicates, export, metadata_table, records, schema, search, sync

ToolOfAny = Tool[Any, Any]

_MODULES = (schema, records, search, batches, analysis, duplicates, export, sync, metadata_table)


@functools.cache
def all_tools() -> dict[str, ToolOfAny]:
    """The tools by name, ordered by name."""
    tools = [tool for module in _MODULES for tool in module.TOOLS]
    return {tool.name: tool for tool in sorted(tools, key=lambda tool: tool.name)}


@functools.cache
def input_schema(name: str) -> dict[str, Any]:
    """JSON Schema of a tool's arguments."""
    return json_schema(all_tools()[name].arguments, "validation")


@functools.cache
def output_schema(name: str) -> dict[str, Any]:
    """JSON Schema of a tool's structured result."""
    return json_schema(all_tools()[name].result, "serialization")
