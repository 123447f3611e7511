"""The list of tools, kept for a short time: it is asked for in every turn and hardly ever changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from pyairtable_platform.common.errors import Unavailable

from .ports import Tool, ToolCall, ToolServer

KEEP_SECONDS = 30.0
_DELAYS = (0.3, 0.6, 1.2)


class CachedToolList:
    """A tool server whose list is asked for once in KEEP_SECONDS, and again when the server is away for a moment."""

    def __init__(self, server: ToolServer) -> None:
        self._server = server
        self._tools: Sequence[Tool] = ()
        self._fetched_at: float | None = None

    async def list_tools(self) -> Sequence[Tool]:
        """Every tool there is. Raises Unavailable: a stale list would only move the failure into the calls."""
        if self._fetched_at is None or time.monotonic() - self._fetched_at > KEEP_SECONDS:
            self._tools = await self._fetch()
            self._fetched_at = time.monotonic()
        return self._tools

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
