"""The list of tools is kept for each role by itself: a viewer's model is never told of another's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyairtable_platform.common import context
from pyairtable_platform.common.context import CallContext
from pyairtable_platform.common.roles import Need
from pyairtable_platform.llm_orchestrator.ports import Tool, ToolCall
from pyairtable_platform.llm_orchestrator.tool_list import CachedToolList


class ByRole:
    """A tool server that lists by the role of the work in progress, as ours does."""

    def __init__(self) -> None:
        self.asked = 0

    async def list_tools(self) -> Sequence[Tool]:
        self.asked += 1
        names = ["look", *(["change"] if context.is_allowed(Need.WRITE) else [])]
        return [Tool(name, "", {}, name == "look") for name in names]

    async def call(self, call: ToolCall) -> dict[str, Any]:
        return {}


async def names(tools: CachedToolList, role: str) -> list[str]:
    with context.entered(CallContext(role=role)):
        return [tool.name for tool in await tools.list_tools()]


async def test_roles_do_not_share_a_list() -> None:
    server = ByRole()
    tools = CachedToolList(server)
    assert await names(tools, "editor") == ["look", "change"]
    assert await names(tools, "viewer") == ["look"]
    assert await names(tools, "editor") == ["look", "change"]
    assert await names(tools, "") == ["look", "change"]
    assert await names(tools, "viewer") == ["look"]
    assert server.asked == 3  # everybody who may do the same shares one: peers may do all that owners may
    assert await names(tools, "owner") == ["look", "change"]
    assert server.asked == 3
