"""So many callers at once, each calling again as soon as it is answered: calls a second, latency and CPU of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.cpu import spent
from benchmarks.system import System
from benchmarks.timing import summary

Call = Callable[[], Awaitable[Any]]


async def pressed(system: System, call: Call, callers: int, seconds: float) -> dict[str, Any]:
    """Keys: callers, calls, per_second, cpu_ms (by process, for one call; `all` for the system), and the latency."""
    samples: list[float] = []
    with spent(system) as cost:
        ends = time.perf_counter() + seconds

        async def caller() -> None:
            while time.perf_counter() < ends:
                began = time.perf_counter()
                await call()
                samples.append(round((time.perf_counter() - began) * 1000, 3))

        await asyncio.gather(*(caller() for _ in range(callers)))
    theirs = [name for name in cost.by_process if name != "here"]
    each = {name: cost.milliseconds_each(len(samples), name) for name in sorted(theirs)}
    return {
        "callers": callers,
        "calls": len(samples),
        "per_second": round(len(samples) / cost.seconds, 3),
        "cpu_ms": {**each, "all": cost.milliseconds_each(len(samples), *theirs)},
        **summary(samples),
    }
