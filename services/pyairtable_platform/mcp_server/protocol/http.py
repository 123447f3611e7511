"""MCP over streamable HTTP at /mcp: stateless, JSON answers."""

from __future__ import annotations

import asyncio
from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from pyairtable_platform.mcp_server.settings import Settings

PATH = "/mcp"


class McpEndpoint:
    """The ASGI app behind /mcp. `run` keeps it going; requests wait until it does."""

    def __init__(self, server: Server[Any], settings: Settings) -> None:
        # The conformance suite also tries what our tools never do: requests to the client (sampling, elicitation of
        # the older revisions). These need a session to answer in, so the fixtures, and they alone, bring sessions.
        with_sessions = settings.mcp_conformance_fixtures
        self._manager = StreamableHTTPSessionManager(
            server,
            json_response=not with_sessions,
            stateless=not with_sessions,
            # Hosts and origins are checked by the border, for every route alike.
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
            max_request_body_size=settings.max_request_bytes,
        )
        self._running = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled: a background task of the service."""
        async with self._manager.run():
            self._running.set()
            await asyncio.Event().wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._running.wait()
        await self._manager.handle_request(trimmed(scope), receive, send)

    def route(self) -> Route:
        return Route(PATH, self)


def trimmed(scope: Scope) -> Scope:
    """The request without blanks around header values (RFC 9110, 5.5): MCP compares some with the body."""
    return {**scope, "headers": [(name, value.strip(b" \t")) for name, value in scope["headers"]]}
