"""Valkey (or Redis): the client of a service."""

from __future__ import annotations

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .errors import Reason, Unavailable
from .settings import RedisSettings

SOCKET_SECONDS = 2.0


def open_valkey(settings: RedisSettings) -> Redis:
    """A client with a bounded pool and short time-outs: who waits for Valkey has something better to do.

    It does not repeat a command by itself: a script that reserves a slot must not run twice. The caller closes it.
    """
    pool = BlockingConnectionPool.from_url(
        settings.redis_dsn(),
        max_connections=settings.redis_pool_size,
        timeout=SOCKET_SECONDS,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=SOCKET_SECONDS,
        health_check_interval=15,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)


async def check_valkey(client: Redis) -> None:
    """For /health: ask it something."""
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        raise Unavailable(
            "Redis/Valkey cannot be reached", reason=Reason.DEPENDENCY_UNAVAILABLE, dependency="redis"
        ) from error
