"""The scheduler on virtual time: order, deadlines, penalties, cancellation."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from unit.airtable_gateway.simulation import Link, Replica, SimulatedStore, now, simulate

from pyairtable_platform.airtable_gateway.limiter import Paused
from pyairtable_platform.airtable_gateway.scheduler import Turn
from pyairtable_platform.airtable_gateway.windows import Pace
from pyairtable_platform.common.errors import RateLimited, Unavailable

Scenario = Callable[[Replica], Coroutine[Any, Any, None]]


def turn(caller: str = "a", *, bulk: bool = False, wait: float | None = None, base: str = "appOne") -> Turn:
    return Turn(base, "token", caller, bulk, None if wait is None else now() + wait)


def in_a_cluster_of_one(scenario: Scenario, *, pace: Pace | None = None, queue: int = 1000) -> None:
    """Run a scenario with one replica that has been up for a while."""

    async def main() -> None:
        store = SimulatedStore(pace or Pace())
        replica = await Replica.start(Link(store, "one", random.Random(1)), store.pace)
        replica.scheduler._longest_queue = queue
        beating = asyncio.create_task(replica.limiter.keep_in_touch())
        await asyncio.sleep(5)
        try:
            await scenario(replica)
        finally:
            beating.cancel()
            await replica.scheduler.close()
            await replica.limiter.close()

    simulate(main())


async def use(replica: Replica, wanted: Turn) -> float:
    """Wait for a turn and use it; returns when it came."""
    permit = await replica.scheduler.permit(wanted)
    await permit.renew()
    permit.sent()
    permit.answered()
    return now()


def test_five_calls_go_at_once_and_the_sixth_a_second_later() -> None:
    async def scenario(replica: Replica) -> None:
        start = now()
        moments = await asyncio.gather(*(use(replica, turn()) for _ in range(6)))
        assert max(moments[:5]) - start < 0.1
        assert 1.0 <= moments[5] - start < 1.1

    in_a_cluster_of_one(scenario)


def test_bases_do_not_wait_for_each_other() -> None:
    async def scenario(replica: Replica) -> None:
        start = now()
        moments = await asyncio.gather(*(use(replica, turn(base=f"app{n % 4}")) for n in range(20)))
        assert max(moments) - start < 0.2

    in_a_cluster_of_one(scenario)


def test_the_token_limit_holds_over_all_bases() -> None:
    async def scenario(replica: Replica) -> None:
        start = now()
        moments = await asyncio.gather(*(use(replica, turn(base=f"app{n}")) for n in range(30)))
        assert sum(moment - start < 0.9 for moment in moments) == 20

    in_a_cluster_of_one(scenario, pace=Pace(token_limit=20))


def test_an_interactive_call_overtakes_bulk_work() -> None:
    async def scenario(replica: Replica) -> None:
        bulk = [asyncio.create_task(use(replica, turn("bulk", bulk=True))) for _ in range(50)]
        await asyncio.sleep(3.3)
        start = now()
        assert await use(replica, turn("person")) - start < 0.25
        await asyncio.gather(*bulk)

    in_a_cluster_of_one(scenario)


def test_a_call_that_cannot_make_its_deadline_is_refused_at_once() -> None:
    async def scenario(replica: Replica) -> None:
        waiting = [asyncio.create_task(use(replica, turn())) for _ in range(50)]
        await asyncio.sleep(0.1)
        start = now()
        with pytest.raises(RateLimited) as caught:
            await replica.scheduler.permit(turn(wait=5))
        assert now() == start
        assert caught.value.retry_after is not None
        assert 8 < caught.value.retry_after < 12
        await replica.scheduler.permit(turn("another", wait=5))  # its caller has nothing waiting
        await asyncio.gather(*waiting)

    in_a_cluster_of_one(scenario)


def test_a_deadline_that_passes_in_the_line_is_told_and_costs_nobody_a_turn() -> None:
    async def scenario(replica: Replica) -> None:
        start = now()
        bulk = [asyncio.create_task(use(replica, turn("b", bulk=True))) for _ in range(12)]
        late = asyncio.create_task(use(replica, turn("c", bulk=True, wait=2.0)))
        people = [asyncio.create_task(use(replica, turn("a"))) for _ in range(12)]
        results = await asyncio.gather(*bulk, late, *people, return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        assert all(isinstance(failure, RateLimited) for failure in failures)
        assert len(failures) <= 1
        assert now() - start < 25 / 4.75 + 1

    in_a_cluster_of_one(scenario)


def test_a_penalty_refuses_who_cannot_wait_and_holds_the_others() -> None:
    async def scenario(replica: Replica) -> None:
        permit = await replica.scheduler.permit(turn())
        patient = [asyncio.create_task(use(replica, turn())) for _ in range(6)]
        hurried = asyncio.create_task(use(replica, turn("b", wait=10)))
        assert await replica.limiter.refused(permit, None) == 30
        start = now()
        with pytest.raises(RateLimited) as caught:
            await replica.scheduler.permit(turn(wait=20))
        assert caught.value.retry_after == pytest.approx(31, abs=1)
        with pytest.raises((RateLimited, Paused)):
            await hurried
        moments = list(await asyncio.gather(*patient, return_exceptions=True))
        assert all(isinstance(moment, Paused) or moment >= start + 30 for moment in moments if moment)  # type: ignore[operator]

    in_a_cluster_of_one(scenario)


def test_retry_after_is_honoured_up_to_a_bound() -> None:
    async def scenario(replica: Replica) -> None:
        for asked, got in ((3.0, 3.0), (86_400.0, 120.0), (0.0, 1.0)):
            permit = await replica.scheduler.permit(turn(base=f"app{asked}"))
            assert await replica.limiter.refused(permit, asked) == got

    in_a_cluster_of_one(scenario)


def test_a_full_queue_refuses() -> None:
    async def scenario(replica: Replica) -> None:
        results = await asyncio.gather(*(use(replica, turn()) for _ in range(25)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, RateLimited)]
        assert len(refused) == 15
        assert all("wait for Airtable already" in error.message for error in refused)

    in_a_cluster_of_one(scenario, queue=10)


def test_a_cancelled_call_gives_its_turn_back() -> None:
    async def scenario(replica: Replica) -> None:
        start = now()
        tasks = [asyncio.create_task(use(replica, turn())) for _ in range(40)]
        await asyncio.sleep(0.5)
        for task in tasks[5:35]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert now() - start < 2.5

    in_a_cluster_of_one(scenario)


def test_more_replicas_than_the_limit_refuse_to_work_alone() -> None:
    async def main() -> None:
        store = SimulatedStore(Pace(replicas=6))
        link = Link(store, "one", random.Random(1), outages=[(0.0, 1000.0)])
        replica = await Replica.start(link, store.pace)
        await asyncio.sleep(10)
        with pytest.raises(Unavailable) as caught:
            await replica.scheduler.permit(turn())
        assert caught.value.metadata["dependency"] == "redis"
        await replica.scheduler.close()

    simulate(main())
