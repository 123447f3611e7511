"""Killed before any send, going forward, going back, or while recovering: each saga ends, and each effect is had once.

The sends are those of the service's main thread: its calls to receivers and to the journal, its answers to callers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from integration.sagas.conftest import Caller, Place, Service, caller_of, until
from integration.sagas.kill.injection import Threads, killed_before_send
from integration.sagas.receivers import BASE, WORKSPACE


@dataclass(frozen=True)
class Scenario:
    """A saga, what it does at the receivers, and what makes it go back (a refusal of that RPC)."""

    type: str
    given: dict[str, Any]
    effects: tuple[str, ...]
    refused: str
    left: tuple[str, ...] = ()
    """Effects that stay when it went back: they have no undo."""


SCENARIOS = {
    "onboarding": Scenario(
        "user_onboarding",
        {"user_id": "u1"},
        ("CreateProfile", "ReserveWorkspace", "DeclareWorkspace", "ActivateWorkspace", "SendLetter"),
        refused="SendLetter",
    ),
    "creation": Scenario(
        "workspace_creation",
        {"name": "beta", "user_id": "u1"},
        ("ReserveWorkspace", "DeclareWorkspace", "ActivateWorkspace"),
        refused="ActivateWorkspace",
    ),
    "connection": Scenario(
        "base_connection",
        {"workspace": WORKSPACE, "base_id": BASE},
        ("BindBase",),
        refused="GetBaseSchema",
    ),
}
SENDS = {"onboarding": 330, "creation": 230, "connection": 280}
"""A little more than a saga takes (measured); points behind its end kill nothing."""

SPREAD = {"forward": (4, 31, 76, 130, 190), "back": (61, 121, 181), "recovery": (25, 89)}
STRIDE = {"forward": 3, "back": 4, "recovery": 8}
"""`make torture` takes every third (fourth, eighth) send: some 600 points, about an hour."""


def points(way: str) -> list[Any]:
    """Some points of every scenario, and many others for `make torture`."""
    found = []
    for name in SCENARIOS:
        for number in sorted({*range(1, SENDS[name] + 1, STRIDE[way]), *SPREAD[way]}):
            marks = () if number in SPREAD[way] else (pytest.mark.torture,)
            found.append(pytest.param(name, number, marks=marks, id=f"{name}-{number}"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), points("forward"))
async def test_killed_while_going_forward(place: Place, name: str, number: int) -> None:
    scenario = SCENARIOS[name]
    saga_id = await killed_and_recovered(place, scenario, [number])
    assert await place.state(saga_id) == "COMPLETED"
    assert_once(place, scenario.effects)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), points("back"))
async def test_killed_while_going_back(place: Place, name: str, number: int) -> None:
    scenario = SCENARIOS[name]
    place.fault(**{scenario.refused: {"code": "CONFLICT", "times": 1000}})
    saga_id = await killed_and_recovered(place, scenario, [number])
    assert await place.state(saga_id) == "COMPENSATED"
    assert_taken_back(place)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), points("recovery"))
async def test_killed_while_recovering(place: Place, name: str, number: int) -> None:
    """The second life is killed, too, and the third."""
    scenario = SCENARIOS[name]
    saga_id = await killed_and_recovered(place, scenario, [100, number, number])
    assert await place.state(saga_id) == "COMPLETED"
    assert_once(place, scenario.effects)


@pytest.mark.slow
@pytest.mark.parametrize("number", [pytest.param(n, marks=pytest.mark.torture) for n in range(5, 60, 2)] + [20, 45])
async def test_killed_before_a_send_of_any_thread(place: Place, number: int) -> None:
    """The threads of DBOS send as well: which thread gets to the number first is up to the machine."""
    scenario = SCENARIOS["onboarding"]
    saga_id = await killed_and_recovered(place, scenario, [number], Threads.EVERY)
    assert await place.state(saga_id) == "COMPLETED"
    assert_once(place, scenario.effects)


async def killed_and_recovered(
    place: Place, scenario: Scenario, numbers: list[int], threads: Threads = Threads.MAIN
) -> str:
    """Start a saga, kill one life after the other before these sends, and let the last one go on; the saga's id."""
    starting: asyncio.Task[Any] | None = None
    async with caller_of(await started(place)) as caller:
        for number in numbers:
            service = place.services[-1]
            with killed_before_send(service.pid, number, threads, place.folder / "strace.log"):
                starting = starting or asyncio.create_task(start(caller, scenario))
                await dead_or_done(place, service, starting)
            if service.is_alive():
                break
            place.start()
        assert starting is not None
        saga_id = str((await starting).saga_id)
    await place.ended(saga_id)
    return saga_id


async def start(caller: Caller, scenario: Scenario) -> Any:
    """As a service does it whose call is lost: again, with the same key."""
    return await caller.start(scenario.type, scenario.given, "key-1", principal="user:u1")


async def started(place: Place) -> Service:
    service = place.start()
    await until(lambda: '"ready"' in (service.log.read_text() if service.log.exists() else ""), "the service")
    return service


async def dead_or_done(place: Place, service: Service, starting: asyncio.Task[Any]) -> None:
    """Wait for the kill, or the end of the saga when it comes first."""
    while service.is_alive():
        if starting.done() and await place.state(str(starting.result().saga_id)) in ("COMPLETED", "COMPENSATED"):
            return
        await asyncio.sleep(0.03)


def assert_once(place: Place, effects: tuple[str, ...]) -> None:
    """Every effect was had exactly once, and nothing was taken back."""
    assert sorted(entry["rpc"] for entry in place.ledger("done")) == sorted(effects)
    assert not place.ledger("undone") and not place.ledger("tombstone")


def assert_taken_back(place: Place) -> None:
    """Whatever was done was undone, once, and nothing was done afterwards."""
    done = [entry["key"] for entry in place.ledger("done")]
    undone = [entry["key"] for entry in place.ledger("undone")]
    assert len(done) == len(set(done)) and sorted(done) == sorted(undone)
    rpcs = [entry["rpc"] for entry in place.ledger("done")]
    assert len(rpcs) == len(set(rpcs)), "an effect was had under two keys"
