"""Valkey (or Redis): the client of a service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
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
    pool.connection_class = cancellable(pool.connection_class)
    return Redis.from_pool(pool)


def cancellable(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """A kind of connection whose commands end when they are cancelled, whatever the moment.

    redis-py bounds a send by asyncio.wait_for, which before Python 3.12 forgets a cancellation that comes as the send
    ends (python/cpython#86296): a service that stops would wait for its background tasks for ever.
    """

    class Cancellable(kind):  # type: ignore[misc, valid-type]
        async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> Any:
            task = asyncio.current_task()
            asked = task.cancelling() if task else 0
            await super().send_packed_command(command, check_health)
            if task and task.cancelling() > asked:
                await self.disconnect(nowait=True)  # nobody will read the answer
                raise asyncio.CancelledError

    return Cancellable


async def check_valkey(client: Redis) -> None:
    """For /health: ask it something."""
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        raise Unavailable(
            "Redis/Valkey cannot be reached", reason=Reason.DEPENDENCY_UNAVAILABLE, dependency="redis"
        ) from error
