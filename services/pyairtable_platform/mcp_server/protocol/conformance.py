"""Fixtures of the MCP conformance suite (placeholder module docstring, see below)."""

from __future__ import annotations

from typing import Any

from mcp.server.lowlevel import Server


def install_fixtures(server: Server[Any]) -> None:
    return
