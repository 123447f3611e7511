"""The work queue: no duplicates, no starving, back-off per key."""

import asyncio

import pytest

from pyairtable_operator import queue as queue_module
from pyairtable_operator.metrics import Metrics
from pyairtable_operator.queue import WorkQueue


async def test_a_key_that_waits_is_not_added_twice() -> None:
    queue = WorkQueue(Metrics())
    for key in ("a", "b", "a"):
        queue.add(key)
    assert [await queue.get(), await queue.get()] == ["a", "b"] and len(queue) == 0


async def test_a_key_that_is_worked_on_comes_back_once_and_behind_the_others() -> None:
    queue = WorkQueue(Metrics())
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert await queue.get() == "b", "never two workers with one key"
    queue.done("a")
    assert await queue.get() == "a" and len(queue) == 0


async def test_the_earlier_of_two_delays_holds() -> None:
    queue = WorkQueue(Metrics())
    queue.add_after("a", 60)
    queue.add_after("a", 0.01)
    queue.add_after("a", 60)
    assert await asyncio.wait_for(queue.get(), 5) == "a"


async def test_failures_double_the_delay_until_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyairtable_operator.queue.random.uniform", lambda low, high: high)
    queue = WorkQueue(Metrics())
    assert [queue.retry("a") for _ in range(4)] == [0.2, 0.4, 0.8, 1.6]
    assert queue.retry("b") == 0.2, "another key has failures of its own"
    assert queue.retry("b", at_least=30) == 30
    for _ in range(30):
        longest = queue.retry("a")
    assert longest == queue_module.LONGEST_DELAY
    queue.succeeded("a")
    assert queue.retry("a") == 0.2
    queue.forget("a")
    queue.forget("b")


async def test_a_forgotten_key_does_not_come_back() -> None:
    queue = WorkQueue(Metrics())
    queue.add_after("a", 0.01)
    queue.forget("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.05)
