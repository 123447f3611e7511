"""/api/health: one answer over all services behind the door, each asked now and within a limit of time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pyairtable_platform.common.access import DEVELOPMENT_NOTE
from pyairtable_platform.common.health import ask
from pyairtable_platform.common.http import json_response

from .settings import Settings
from .upstreams import Upstream

HEALTH_PATH = "/api/health"
"""For everybody, as each service's own /health is: who cannot log in wants to know why."""


def system_health_route(upstreams: Sequence[Upstream], settings: Settings) -> Route:
    """GET /api/health: 200 when every service is healthy, else 503; the body says which is not, and why."""

    async def system_health(_: Request) -> Response:
        answer = await report(upstreams, settings)
        return json_response(answer, 200 if answer["status"] == "healthy" else 503)

    return Route(HEALTH_PATH, system_health)


async def report(upstreams: Sequence[Upstream], settings: Settings) -> dict[str, Any]:
    """Status of the whole, and of each service by name."""
    timeout = settings.health_timeout_seconds
    results = await asyncio.gather(*(ask(partial(upstream.check, timeout)) for upstream in upstreams))
    services = {
        upstream.name: {"title": upstream.title, **result} for upstream, result in zip(upstreams, results, strict=True)
    }
    healthy = all(result["status"] == "healthy" for result in results)
    return {
        "status": "healthy" if healthy else "unhealthy",
        "environment": settings.environment,
        "services": services,
        "notes": [DEVELOPMENT_NOTE] if settings.is_open() else [],
    }
