"""The sliding window: never more than the limit in any 60 seconds, and every place comes back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyairtable_platform.api_gateway.rate_limit import WINDOW_SECONDS, LocalWindow, RateLimiter, Verdict
from pyairtable_platform.common.errors import RateLimited, Unavailable


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class BrokenWindow:
    """A shared window that can be away."""

    def __init__(self) -> None:
        self.away = True
        self.asked = 0

    async def take(self, caller: str, limit: int) -> Verdict:
        self.asked += 1
        if self.away:
            raise Unavailable("away")
        return Verdict(True, limit, limit - 1, WINDOW_SECONDS)


@given(limit=st.integers(1, 6), gaps=st.lists(st.floats(0, 40), max_size=60))
@settings(max_examples=60, deadline=None)
async def test_no_minute_ever_sees_more_than_the_limit(limit: int, gaps: list[float]) -> None:
    clock = Clock()
    window = LocalWindow(clock)
    passed: list[float] = []
    for gap in gaps:
        clock.now += gap
        if (await window.take("a", limit)).allowed:
            passed.append(clock.now)
    for start in passed:
        assert len([time for time in passed if start <= time < start + WINDOW_SECONDS]) <= limit


async def test_the_wait_that_is_told_is_enough_and_not_too_long() -> None:
    clock = Clock()
    window = LocalWindow(clock)
    await window.take("a", 2)
    clock.now += 25
    await window.take("a", 2)
    refused = await window.take("a", 2)
    assert (refused.allowed, refused.remaining, refused.reset_seconds) == (False, 0, 35)
    clock.now += 34.9
    assert not (await window.take("a", 2)).allowed
    clock.now += 0.1
    assert (await window.take("a", 2)).allowed


async def test_callers_do_not_share_a_window() -> None:
    window = LocalWindow(Clock())
    assert (await window.take("a", 1)).allowed
    assert (await window.take("b", 1)).allowed
    assert not (await window.take("a", 1)).allowed


async def test_memory_is_bounded_by_forgetting_the_quietest_caller() -> None:
    window = LocalWindow(Clock(), max_callers=2)
    for caller in ("a", "b", "a", "c"):
        await window.take(caller, 5)
    assert not (await window.take("a", 2)).allowed
    assert (await window.take("b", 1)).allowed


def test_a_refusal_names_the_limit_and_the_wait() -> None:
    with pytest.raises(RateLimited) as refusal:
        Verdict(False, 7, 0, 12.25).raise_if_refused()
    assert refusal.value.retry_after == 12.25
    assert refusal.value.metadata == {"limit": "7"}
    Verdict(True, 7, 6, 12.25).raise_if_refused()


async def test_no_limit_asks_nobody() -> None:
    shared = BrokenWindow()
    assert await RateLimiter(0, shared, LocalWindow()).take("a") is None
    assert shared.asked == 0


async def test_while_the_shared_window_is_away_the_local_one_counts() -> None:
    clock, shared = Clock(), BrokenWindow()
    limiter = RateLimiter(2, shared, LocalWindow(clock), clock)
    verdicts = [await limiter.take("a") for _ in range(3)]
    assert [verdict.allowed for verdict in verdicts if verdict] == [True, True, False]
    assert shared.asked == 1, "a dead store is not asked again for every call"
    clock.now += RateLimiter.RETRY_SECONDS
    shared.away = False
    again = await limiter.take("a")
    assert again is not None
    assert again.allowed
    assert shared.asked == 2
