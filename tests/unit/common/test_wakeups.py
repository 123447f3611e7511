"""Waiting for a change that may be told of, or be found by looking."""

from __future__ import annotations

import asyncio

import pytest

from pyairtable_platform.common import wakeups
from pyairtable_platform.common.errors import NotFound, Unavailable
from pyairtable_platform.common.wakeups import Follower, Wakeups, patiently, until_woken


def test_each_is_woken_by_its_key_and_all_when_something_was_missed() -> None:
    known = Wakeups()
    with known.waiting_for("a") as first, known.waiting_for("a") as second, known.waiting_for("b") as other:
        known.wake("a")
        known.wake("nobody waits for this")
        assert first.is_set()
        assert second.is_set()
        assert not other.is_set()
        known.wake_all()
        assert other.is_set()
    assert known._waiting == {}


async def test_whoever_is_not_woken_looks_after_a_while() -> None:
    woken = asyncio.Event()
    await until_woken(woken, seconds=0.01)
    woken.set()
    await until_woken(woken, seconds=3600)


async def test_waiting_ends_with_its_task() -> None:
    woken = asyncio.Event()
    waiting = asyncio.create_task(until_woken(woken, seconds=3600))
    await asyncio.sleep(0)
    woken.set()
    waiting.cancel()  # in the same moment: asyncio.wait_for would go on
    with pytest.raises(asyncio.CancelledError):
        await waiting


class Store:
    """Away for some looks."""

    def __init__(self, away: int) -> None:
        self.away = away

    async def look(self) -> str:
        self.away -= 1
        if self.away >= 0:
            raise Unavailable("PostgreSQL cannot be reached")
        return "found"


async def test_a_store_that_comes_back_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "RETRY_SECONDS", 0.001)
    assert await patiently(Store(away=3).look) == "found"


async def test_a_store_that_stays_away_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(wakeups, "PATIENCE_SECONDS", 0.02)
    with pytest.raises(Unavailable):
        await patiently(Store(away=10**9).look)


async def test_other_errors_are_not_waited_out() -> None:
    async def look() -> None:
        raise NotFound("the session is gone")

    with pytest.raises(NotFound):
        await patiently(look)


async def test_a_follower_looks_when_hinted_and_says_once_that_the_store_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wakeups, "AWAY_SECONDS", 0.001)
    store, looks = Store(away=3), asyncio.Queue[str]()

    async def look() -> None:
        looks.put_nowait(await store.look())

    follower = Follower(look, look_seconds=3600, when_away="the copy grows old")
    following = asyncio.create_task(follower.run())
    assert await asyncio.wait_for(looks.get(), 30) == "found"
    assert looks.empty()
    follower.hint("a change")
    assert await asyncio.wait_for(looks.get(), 30) == "found"
    following.cancel()
    assert caplog.messages == ["the copy grows old"]
