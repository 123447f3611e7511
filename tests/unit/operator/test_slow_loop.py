"""The slow loop spreads its looks, so that a new workspace never waits behind all the others."""

from __future__ import annotations

import asyncio

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


async def test_one_at_a_time_over_the_whole_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = WorkQueue(Metrics())
    waiting: list[int] = []
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        waiting.append(len(queue))

    monkeypatch.setattr(asyncio, "sleep", sleep)
    store = FakeStore(["a", "b", "c", "d"])
    await Sweep(Settings(resync_seconds=300), None, store, None, queue).look_at_all()  # type: ignore[arg-type]
    assert slept == [75.0] * 4
    assert waiting == [0, 1, 2, 3]
    assert len(queue) == 4


async def test_without_workspaces_it_waits_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    sweep = Sweep(Settings(resync_seconds=300), None, FakeStore([]), None, WorkQueue(Metrics()))  # type: ignore[arg-type]
    await sweep.look_at_all()
    assert slept == [300.0]
