"""The limiter's shared windows in Valkey (or Redis 6.2+): one atomic script, by the server's own clock.

Replicas need no common time. But the server's clock may be changed, and a frozen server runs late what it was sent
earlier; both are noticed here and count as StoreAway.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from .limiter import Clock
from .windows import Answer, Ask, Granted, Pace, StoreAway, Wait

_DRIFT = 0.005
"""Seconds by which two readings of the server's clock may differ from our own measure of the time between them."""


class ValkeyPermits:
    """A PermitStore. `client` should not repeat commands by itself: a repeat could come too late."""

    def __init__(
        self, client: Redis, pace: Pace, *, clock: Clock = time.monotonic, prefix: str = "{airtable}", name: str = ""
    ) -> None:
        source = resources.files(__package__).joinpath("limiter.lua").read_text(encoding="utf-8")
        self._script = client.register_script(source)
        self._pace = pace
        self._clock = clock
        self._prefix = prefix
        self._name = name or uuid.uuid4().hex
        self._sample: tuple[float, float, float] | None = None  # our time before and after, the server's between

    async def ask(self, ask: Ask) -> Answer:
        windows = [part for name, limit in ask.windows for part in (name, limit)]
        verdict, seconds, present = await self._run("ask", ask.permit, int(ask.bulk), *windows)
        if verdict == "granted":
            return Granted(present, seconds)
        return Wait(seconds, paused=verdict == "paused")

    async def beat(self, *, join: bool) -> int:
        return (await self._run("beat", int(join)))[2]

    async def sent(self, ask: Ask) -> None:
        await self._run("lower", ask.permit, _micros(self._pace.jitter), *ask.names)

    async def answered(self, ask: Ask) -> None:
        await self._run("lower", ask.permit, 0, *ask.names)

    async def release(self, ask: Ask) -> None:
        await self._run("release", ask.permit, *ask.names)

    async def pause(self, name: str, seconds: float) -> None:
        await self._run("pause", name, int(seconds * 1000))

    async def _run(self, operation: str, *arguments: Any) -> tuple[str, float, int]:
        pace = self._pace
        before = self._clock()
        lengths = [_micros(value) for value in (pace.jitter, pace.lease, pace.presence)]
        common: list[Any] = [operation, self._not_after(before), *lengths, pace.replicas, self._name]
        try:
            async with asyncio.timeout(pace.reach):
                reply = await self._script(keys=[self._prefix], args=[*common, *arguments])
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreAway(f"{operation}: {type(error).__name__}") from error
        verdict, now, wait, present = reply
        self._check_clock(before, int(now) / 1e6, self._clock())
        if _text(verdict) == "late":
            raise StoreAway(f"{operation}: it came too late")
        return _text(verdict), int(wait) / 1e6, int(present)

    def _not_after(self, now: float) -> int:
        """The server's time after which it shall not do what we ask any more; 0 before its clock is known."""
        if self._sample is None:
            return 0
        before, _, server = self._sample
        return _micros(server + (now - before) + self._pace.reach)

    def _check_clock(self, before: float, server: float, after: float) -> None:
        """Raise StoreAway if the server's clock did not go on as ours did."""
        previous, self._sample = self._sample, (before, after, server)
        if previous is None:
            return
        least, most = before - previous[1], after - previous[0]
        tolerance = _DRIFT + most * 1e-4
        if not least - tolerance <= server - previous[2] <= most + tolerance:
            raise StoreAway("the clock of the limiter store was changed")


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
