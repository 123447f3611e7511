"""Strikes every point there is, at several courts at once."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from integration.sagas.place import Nursery, prepared_postgres

from pyairtable_devkit.databases import Postgres

from . import points
from .court import Court, Point, Verdict
from .messages import PREPARED
from .scenarios import SCENARIOS, Scenario

TRIES = 3
"""A send may come a time less than when it was counted (a poll, a window of HTTP/2): then it is tried again."""

MOST_CALLS = 60
KINDS = ("send", "recovery", "postgres", "receivers")
"""What is killed: the service at a send; twice, the second time while it recovers; PostgreSQL; a receiver."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Struck:
    """A point and what came of it."""

    kind: str
    scenario: Scenario
    point: Point
    tries: int
    verdict: Verdict


Job = Callable[[Court], Awaitable[list[Struck]]]
T = TypeVar("T")


@asynccontextmanager
async def open_court(nursery: Nursery, postgres: Postgres) -> AsyncIterator[Court]:
    """A court with a database of its own."""
    name = f"court_{next(_numbers)}"
    url = postgres.create_database(name, template="sagas_template")
    with tempfile.TemporaryDirectory() as folder:
        court = Court(nursery, Path(folder), postgres, url)
        try:
            yield court
        finally:
            await court.close()


async def sweep(
    nursery: Nursery,
    kinds: Sequence[str] = KINDS,
    scenarios: Sequence[Scenario] = SCENARIOS,
    *,
    courts: int = 3,
    heard: Callable[[Struck], None] = lambda struck: None,
) -> list[Struck]:
    """Strike all points of these kinds; `heard` is told of each."""
    async with AsyncExitStack() as stack:
        # Where PostgreSQL is struck each court has a server of its own.
        number = courts if "postgres" in kinds else 1
        servers = [stack.enter_context(prepared_postgres()) for _ in range(number)]
        opened = [
            await stack.enter_async_context(open_court(nursery, servers[court % number])) for court in range(courts)
        ]
        idle = await opened[0].idle_sends()
        planned = await _spread([_plan(kind, scenario, idle) for kind in kinds for scenario in scenarios], opened)
        jobs = [job for plan in planned for job in plan]
        struck: list[Struck] = []

        def told(job: Job) -> Job:
            async def tell(court: Court) -> list[Struck]:
                found = await job(court)
                for item in found:
                    heard(item)
                struck.extend(found)
                return found

            return tell

        await _spread([told(job) for job in jobs], opened)
        return struck


async def _spread(jobs: Sequence[Callable[[Court], Awaitable[T]]], courts: Sequence[Court]) -> list[T]:
    """Do each job at whichever court is free."""
    waiting = iter(jobs)
    done: list[T] = []

    async def work(court: Court) -> None:
        for job in waiting:
            done.append(await job(court))

    async with asyncio.TaskGroup() as group:
        for court in courts:
            group.create_task(work(court))
    return done


def _plan(kind: str, scenario: Scenario, idle: set[str]) -> Callable[[Court], Awaitable[list[Job]]]:
    """Find out which points there are, by counting."""

    async def plan(court: Court) -> list[Job]:
        if kind == "receivers":
            return [_calls(scenario, after=after) for after in (False, True)]
        prepared = [point for point in await court.sends(scenario) if point.send.endswith(PREPARED)]
        # What a life does not send any more when it has carried out a saga before is counted apart.
        again = [point for point in await court.sends(scenario, fresh=False) if not point.send.endswith(PREPARED)]
        sent = again + prepared if kind == "send" else again
        if kind == "postgres":
            return [_job(kind, scenario, point) for point in points.of_postgres(sent, idle)]
        is_whole = scenario is SCENARIOS[0]
        if kind == "send":
            return [_job(kind, scenario, point) for point in (sent if is_whole else points.distinct(sent, idle))]
        anchor = points.in_doubt(sent)
        recovery = points.of_recovery(await court.sends_of_recovery(scenario, anchor), whole=is_whole)
        return [_job(kind, scenario, point, anchor) for point in points.distinct(recovery, idle)]

    return plan


def _job(kind: str, scenario: Scenario, point: Point, anchor: Point | None = None) -> Job:
    async def strike(court: Court) -> list[Struck]:
        tries, verdict = 0, None
        while tries < TRIES and not (verdict and (verdict.was_reached or verdict.wrong)):
            tries += 1
            if kind == "postgres":
                verdict = await court.strike_postgres(scenario, point)
            elif anchor is not None:
                verdict = await court.strike_recovery(scenario, anchor, point)
            else:
                verdict = await court.strike(scenario, point)
        assert verdict is not None
        return [Struck(kind, scenario, point, tries, verdict)]

    return strike


def _calls(scenario: Scenario, *, after: bool) -> Job:
    """Kill the receivers in each call, until there is none any more."""

    async def strike(court: Court) -> list[Struck]:
        found: list[Struck] = []
        for call in range(1, MOST_CALLS):
            verdict = await court.strike_receivers(scenario, call, after=after)
            if not verdict.was_reached and not verdict.wrong:
                return found
            point = Point("call after its effect" if after else "call before its effect", call)
            found.append(Struck("receivers", scenario, point, 1, verdict))
        raise AssertionError(f"{scenario.name} calls more than {MOST_CALLS} times")

    return strike
