"""The rate window in Valkey: one sorted set a caller, its members the calls of the last minute by Valkey's own clock.

One script reads, decides and writes, so that replicas cannot both take the last place. Refused calls are not counted:
who is refused and waits gets in again.
"""

from __future__ import annotations

import asyncio
import uuid

from redis.asyncio import Redis
from redis.exceptions import RedisError

from pyairtable_platform.common.errors import Unavailable

from .rate_limit import WINDOW_SECONDS, Verdict

ANSWER_SECONDS = 0.5  # a slower Valkey is treated as away: the limit must not cost more than the call

_TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local window, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - window))
local used = redis.call('ZCARD', KEYS[1])
local allowed = used < limit and 1 or 0
if allowed == 1 then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[3])
  redis.call('PEXPIRE', KEYS[1], window / 1000)
  used = used + 1
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {allowed, used, string.format('%.0f', tonumber(oldest[2]) + window - now)}
"""


class ValkeyWindow:
    """A sliding window that replicas share."""

    def __init__(self, client: Redis) -> None:
        self._take = client.register_script(_TAKE)

    async def take(self, caller: str, limit: int) -> Verdict:
        arguments: list[int | str] = [int(WINDOW_SECONDS * 1_000_000), limit, uuid.uuid4().hex]
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                allowed, used, reset = await self._take(keys=[f"pyairtable:door:calls:{caller}"], args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            raise Unavailable("Valkey cannot be reached", dependency="redis") from error
        return Verdict(bool(allowed), limit, max(0, limit - int(used)), int(reset) / 1_000_000)
