"""Tools over MCP (USE_HTTP_MCP=true): the adapter against the tool server's own protocol code."""

from __future__ import annotations
