"""Timing of competing ways to do the same thing: interleaved, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Way = Callable[[], Awaitable[Any]]


async def interleaved(ways: Mapping[str, Way], *, rounds: int, pause: float = 0.0, warm_up: int = 3) -> dict[str, Any]:
    """Run every way once a round; return milliseconds by way: median, p95, and every sample."""
    samples: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + warm_up):
        for name, way in ways.items():
            started = time.perf_counter()
            await way()
            elapsed = (time.perf_counter() - started) * 1000
            if number >= warm_up:
                samples[name].append(round(elapsed, 3))
            await asyncio.sleep(pause)
    return {name: summary(values) for name, values in samples.items()}


def summary(values: list[float]) -> dict[str, Any]:
    """Median and 95th percentile of samples, with the samples."""
    ordered = sorted(values)
    return {
        "median_ms": round(statistics.median(ordered), 3),
        "p95_ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))],
        "samples_ms": values,
    }
