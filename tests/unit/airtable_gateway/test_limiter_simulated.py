"""The limiter in a simulated cluster: never more than five arrivals in any second, whatever happens."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass

from hypothesis import example, given, settings
from hypothesis import strategies as st
from unit.airtable_gateway.simulation import Airtable, Link, Replica, SimulatedStore, now, peak, rate, simulate

from pyairtable_platform.airtable_gateway.scheduler import Turn
from pyairtable_platform.airtable_gateway.windows import Pace
from pyairtable_platform.common.errors import RateLimited, Unavailable

BASE, TOKEN = "appOne", "token"


@dataclass(frozen=True)
class Schedule:
    """What a simulated cluster goes through."""

    seed: int
    replicas: int
    calls: int
    spread: float
    """Seconds over which the calls come in."""
    outages: tuple[tuple[int, float, float], ...] = ()
    """Replica (-1: all, and the store forgets), start, length."""
    clock_changes: tuple[tuple[float, float], ...] = ()
    """When, and by how much the clock of the store is changed."""
    store_delay: float = 0.002
    handshakes: bool = False
    jitter: float = 0.04


schedules = st.builds(
    Schedule,
    seed=st.integers(0, 2**32),
    replicas=st.integers(1, 4),
    calls=st.integers(1, 80),
    spread=st.floats(0, 12),
    outages=st.lists(st.tuples(st.integers(-1, 3), st.floats(0, 10), st.floats(0.1, 8)), max_size=3).map(tuple),
    clock_changes=st.lists(
        st.tuples(st.floats(0, 10), st.sampled_from([-172800.0, -3.0, -0.5, 0.5, 3.0, 172800.0])), max_size=1
    ).map(tuple),
    store_delay=st.sampled_from([0.0, 0.002, 0.05, 0.12]),
    handshakes=st.booleans(),
    jitter=st.sampled_from([0.001, 0.04, 0.2]),
)


async def run(schedule: Schedule) -> Airtable:
    """Run a schedule to its end and return Airtable with what arrived there."""
    dice = random.Random(schedule.seed)
    pace = Pace(jitter=schedule.jitter, replicas=schedule.replicas)
    store, airtable = SimulatedStore(pace), Airtable(schedule.jitter, dice)
    links = [Link(store, f"replica-{n}", dice, schedule.store_delay) for n in range(schedule.replicas)]
    for which, start, length in schedule.outages:
        for number, link in enumerate(links):
            if which in (-1, number):
                link.outages.append((start, start + length))
        if which == -1:
            asyncio.get_running_loop().call_at(start + length / 2, store.forget)
    for moment, change in schedule.clock_changes:
        asyncio.get_running_loop().call_at(moment, setattr, store, "shift", change)
    replicas = [await Replica.start(link, pace) for link in links]
    beating = [asyncio.create_task(replica.limiter.keep_in_touch()) for replica in replicas]

    async def one_call(replica: Replica) -> None:
        await asyncio.sleep(dice.uniform(0, schedule.spread))
        turn = Turn(BASE, TOKEN, f"caller-{dice.randrange(3)}", bulk=dice.random() < 0.5, deadline=now() + 60)
        with suppress(RateLimited, Unavailable):
            permit = await replica.scheduler.permit(turn)
            handshake = dice.choice([0.0, 0.1, 0.7, 1.4]) if schedule.handshakes else 0.0
            await airtable.call(BASE, permit, handshake=handshake)

    await asyncio.gather(*(one_call(dice.choice(replicas)) for _ in range(schedule.calls)))
    for replica, task in zip(replicas, beating, strict=True):
        task.cancel()
        await replica.scheduler.close()
        await replica.limiter.close()
    return airtable


ROUNDED_AWAY = Schedule(
    seed=106882,
    replicas=2,
    calls=19,
    spread=3.5434709156900945,
    outages=((-1, 3.617553307656594, 2.0468136933262855),),
    clock_changes=((3.617553307656594, -3.0),),
    store_delay=0.0,
    jitter=0.04,
)
"""The store's clock is set back, so that what it tells to wait is less than ours can count."""


@settings(max_examples=200, deadline=None)
@example(ROUNDED_AWAY)
@given(schedules)
def test_no_second_ever_sees_more_than_five_arrivals(schedule: Schedule) -> None:
    airtable = simulate(run(schedule))
    assert peak(airtable.arrivals.get(BASE, [])) <= 5


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_every_call_is_served_in_time_when_nothing_fails(seed: int, replicas: int) -> None:
    airtable = simulate(run(Schedule(seed, replicas, calls=100, spread=0.0)))
    arrivals = airtable.arrivals[BASE]
    assert len(arrivals) == 100
    assert rate(arrivals) >= 4.75


def test_a_flood_uses_95_percent_of_the_limit_with_answers_that_take_long() -> None:
    for replicas in (1, 2, 4):
        arrivals = simulate(run(Schedule(7, replicas, calls=250, spread=0.0))).arrivals[BASE]
        assert len(arrivals) == 250
        assert rate(arrivals) >= 4.75
