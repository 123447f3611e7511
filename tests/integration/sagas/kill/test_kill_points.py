"""Killed at any point, a saga ends, and each effect is had once by the receivers' ledger.

Some thirty points here: for each scenario the one where an effect is had and nobody remembers it yet, and one in a
thread of DBOS; and some of each other kind. `make torture` strikes every point.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from integration.sagas.kill import points
from integration.sagas.kill.court import Court, Point, Verdict
from integration.sagas.kill.scenarios import SCENARIOS, Scenario
from integration.sagas.kill.sweep import KINDS, open_court, sweep
from integration.sagas.place import Nursery

from pyairtable_devkit.databases import Postgres

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.fixture(scope="module")
async def court(nursery: Nursery, postgres: Postgres) -> AsyncIterator[Court]:
    async with open_court(nursery, postgres) as court:
        yield court


def assert_well(verdict: Verdict) -> None:
    assert not verdict.wrong, verdict.wrong
    assert verdict.was_reached


def remembered(sent: list[Point]) -> Point:
    """In a thread of DBOS: the second half of what it remembers."""
    found = [point for point in sent if point.send.startswith(points.REMEMBERED)]
    return found[len(found) // 2]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_killed_before_a_send(court: Court, scenario: Scenario) -> None:
    sent = await court.sends(scenario, fresh=False)
    for choose in (points.in_doubt, remembered):
        verdict = await court.strike(scenario, choose(sent))
        if not (verdict.was_reached or verdict.wrong):  # it was counted when an attempt more was made than this time
            sent = await court.sends(scenario, fresh=False)
            verdict = await court.strike(scenario, choose(sent))
        assert not verdict.wrong, verdict.wrong
        assert verdict.was_reached


@pytest.mark.slow
@pytest.mark.parametrize("name", ["user_onboarding forward", "table_sync back"])
async def test_killed_again_while_it_recovers(court: Court, name: str) -> None:
    scenario = BY_NAME[name]
    anchor = points.in_doubt(await court.sends(scenario, fresh=False))
    assert_well(await court.strike_recovery(scenario, anchor, Point(anchor.send, 2)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["base_connection forward", "person_erasure forward"])
@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
async def test_a_receiver_killed_in_a_call(court: Court, name: str, after: bool) -> None:
    assert_well(await court.strike_receivers(BY_NAME[name], 1 if after else 3, after=after))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["workspace_creation forward", "user_onboarding back"])
async def test_postgresql_killed_at_a_commit(court: Court, name: str) -> None:
    scenario = BY_NAME[name]
    commits = [
        point
        for point in await court.sends(scenario, fresh=False)
        if point.send.startswith("main: COMMIT after SELECT pg_")
    ]
    assert_well(await court.strike_postgres(scenario, commits[len(commits) // 2]))


@pytest.mark.torture
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("kind", KINDS)
async def test_every_point(nursery: Nursery, kind: str) -> None:
    struck = await sweep(nursery, [kind])
    wrong = [f"{item.scenario.name}, {item.point}: {item.verdict.wrong}" for item in struck if item.verdict.wrong]
    assert struck and not wrong, "\n".join(wrong)
