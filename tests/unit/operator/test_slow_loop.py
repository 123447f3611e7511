"""The slow loop spreads its looks, so that a new workspace never waits behind all the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pyairtable_operator.metrics import Metrics
from pyairtable_operator.queue import WorkQueue
from pyairtable_operator.settings import Settings
from pyairtable_operator.sweep import Sweep


class FakeStore:
    """Knows names only."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def workspaces(self) -> list[str]:
        return self._names


def recorded_sleep(monkeypatch: pytest.MonkeyPatch, record: Callable[[float], None]) -> None:
    """The calling task does not sleep any more but tells how long it wanted to; other tasks of the loop sleep on."""
    me, asleep = asyncio.current_task(), asyncio.sleep

    async def sleep(seconds: float) -> None:
        if asyncio.current_task() is me:
            record(seconds)
        else:
            await asleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)


async def test_one_at_a_time_over_the_whole_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = WorkQueue(Metrics())
    seen: list[tuple[float, int]] = []
    recorded_sleep(monkeypatch, lambda seconds: seen.append((seconds, len(queue))))
    store = FakeStore(["a", "b", "c", "d"])
    await Sweep(Settings(resync_seconds=300), None, store, None, queue).look_at_all()  # type: ignore[arg-type]
    assert seen == [(75.0, 0), (75.0, 1), (75.0, 2), (75.0, 3)]
    assert len(queue) == 4


async def test_without_workspaces_it_waits_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    recorded_sleep(monkeypatch, slept.append)
    sweep = Sweep(Settings(resync_seconds=300), None, FakeStore([]), None, WorkQueue(Metrics()))  # type: ignore[arg-type]
    await sweep.look_at_all()
    assert slept == [300.0]
