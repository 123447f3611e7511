"""The list of tools, kept for a short time: it is asked for in every turn and hardly ever changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from pyairtable_platform.common import context
from pyairtable_platform.common.errors import Unavailable
from pyairtable_platform.common.roles import Need

from .ports import Tool, ToolCall, ToolServer

KEEP_SECONDS = 30.0
_DELAYS = (0.3, 0.6, 1.2)


class CachedToolList:
    """A tool server whose list is asked for once in KEEP_SECONDS, and again when the server is away for a moment.

    The list is that of the role of the work in progress: a model is told of no tool that its user may not use.
    """

    def __init__(self, server: ToolServer) -> None:
        self._server = server
        self._lists: dict[tuple[bool, ...], tuple[float, Sequence[Tool]]] = {}

    async def list_tools(self) -> Sequence[Tool]:
        """The tools that may be used. Raises Unavailable: a stale list would only move the failure into the calls."""
        rights = tuple(context.is_allowed(need) for need in Need)
        known = self._lists.get(rights)
        if known is None or time.monotonic() - known[0] > KEEP_SECONDS:
            tools = await self._fetch()
            known = self._lists[rights] = (time.monotonic(), tools)
        return known[1]

    async def call(self, call: ToolCall) -> dict[str, Any]:
        """Run a tool."""
        return await self._server.call(call)

    async def _fetch(self) -> Sequence[Tool]:
        for delay in _DELAYS:
            try:
                return await self._server.list_tools()
            except Unavailable:
                await asyncio.sleep(delay)
        return await self._server.list_tools()
