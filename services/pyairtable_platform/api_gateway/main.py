"""Wires the door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from pyairtable_platform.common.access import open_access
from pyairtable_platform.common.errors import PyAirtableError, Unavailable
from pyairtable_platform.common.rest.handler import rest_routes
from pyairtable_platform.common.server import Service
from pyairtable_platform.common.valkey import check_valkey, open_valkey

from .callers import Callers
from .edge import Edge
from .pages import PAGE_PATHS, page_routes
from .passthrough import PassThrough
from .rate_limit import LocalWindow, RateLimiter
from .reflection import reflection_v1
from .settings import Settings
from .strangers import Strangers
from .system_health import HEALTH_PATH, system_health_route
from .upstreams import open_upstreams
from .valkey_window import ValkeyWindow

__all__ = ["Settings", "build"]


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """The door with its channels to the services behind and to Valkey."""
    valkey = open_valkey(settings)
    try:
        async with open_upstreams(settings) as upstreams:
            shared, local = ValkeyWindow(valkey), LocalWindow()
            limiter = RateLimiter(settings.rate_limit_rpm, shared, local)
            strangers = Strangers(upstreams, RateLimiter(settings.public_rate_limit_rpm, shared, local))
            access = open_access(settings)
            callers = Callers(access, settings.trusted_proxies)
            offered = [(service, each.channel) for each in upstreams for service in each.services]
            contract = rest_routes(offered, prefix="/api")
            passthrough = PassThrough(upstreams, limiter, strangers, callers)
            names = [str(service.full_name) for service, _ in offered]
            yield Service(
                name="api-gateway",
                title="API Gateway",
                servicers=[],
                optional_checks={"redis": lambda: check_limits(valkey)},
                routes=[system_health_route(upstreams, settings), *contract, *page_routes()],
                public_paths=(*PAGE_PATHS, HEALTH_PATH),
                access=access,
                edge=lambda app: Edge(app, settings, limiter, strangers, callers),
                generic_handlers=[passthrough, reflection_v1(names)],
                count_grpc=passthrough.count,
                addressed=lambda peer, headers: callers.address(peer, headers.get("x-forwarded-for", "")),
                reflected=names,
            )
    finally:
        await valkey.aclose()


async def check_limits(valkey: Redis) -> None:
    """For /health: whether replicas share the rate limits."""
    try:
        await check_valkey(valkey)
    except PyAirtableError as error:
        text = f"{error.message}: rate limits are counted by each replica for itself"
        raise Unavailable(text, dependency="redis") from error
