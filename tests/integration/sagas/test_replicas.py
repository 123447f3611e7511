"""Replicas that die, are frozen, or come twice; the services they call, and PostgreSQL, killed midway."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest
from integration.sagas.place import Place, caller_of, logged, until
from integration.sagas.receivers import BASE, WORKSPACE

from pyairtable_devkit.databases import Postgres

EFFECTS = ["ActivateWorkspace", "CreateProfile", "DeclareWorkspace", "ReserveWorkspace", "SendLetter"]
ONBOARDING = ("user_onboarding", {"user_id": "u1"}, "key-1")


def effects(place: Place) -> list[str]:
    return sorted(entry["rpc"] for entry in place.ledger("done"))


def slow(rpc: str, seconds: float) -> dict[str, dict[str, Any]]:
    return {rpc: {"code": "", "times": 1, "seconds": seconds}}


async def asked_for(place: Place, rpc: str) -> None:
    """Wait until the double was asked for something that it is slow with."""
    await until(lambda: any(entry["rpc"] == rpc for entry in place.ledger()), rpc)


@pytest.mark.slow
async def test_a_live_replica_takes_over_from_a_dead_one_for_good(place: Place) -> None:
    place.fault(**slow("DeclareWorkspace", 1.0))
    first, second = place.start("sagas-0"), place.start("sagas-1")
    async with caller_of(second) as caller:
        await until(lambda: logged(first, '"ready"') == 1, "the first replica")
        saga = await caller.start(*ONBOARDING)
        await asked_for(place, "DeclareWorkspace")
        holder = (await place.ask("SELECT executor FROM sagas.sagas"))[0]["executor"]
        dead, alive = (first, second) if holder.startswith("sagas-0") else (second, first)
        dead.kill()
        await place.ended(saga.saga_id)
    assert await place.state(saga.saga_id) == "COMPLETED"
    assert effects(place) == EFFECTS
    assert logged(alive, "is taken up") == 1


@pytest.mark.slow
async def test_a_live_replica_is_left_alone(place: Place) -> None:
    """Also when a saga takes longer than a lease."""
    place.fault(**slow("DeclareWorkspace", 7.0))
    first, second = place.start("sagas-0", lease_seconds=3.0), place.start("sagas-1", lease_seconds=3.0)
    async with caller_of(first) as caller:
        saga = await caller.start(*ONBOARDING)
        await place.ended(saga.saga_id)
    assert (await place.ask("SELECT claim FROM sagas.sagas"))[0]["claim"] == 1
    assert logged(first, "is taken up") + logged(second, "is taken up") == 0
    assert effects(place) == EFFECTS


@pytest.mark.slow
async def test_a_frozen_replica_that_was_taken_over_does_nothing_any_more(place: Place) -> None:
    """It thaws after the other one ended the saga, writes nothing, calls nobody, and begins anew."""
    place.fault(**slow("ReserveWorkspace", 0.7))
    first = place.start("sagas-0", lease_seconds=3.0)
    async with caller_of(first) as caller:
        saga = await caller.start(*ONBOARDING)
        await asked_for(place, "ReserveWorkspace")
        first.kill(signal.SIGSTOP)
        place.start("sagas-1", lease_seconds=3.0)
        await place.ended(saga.saga_id)
        before = place.ledger()
        row = (await place.ask("SELECT * FROM sagas.sagas"))[0]
        first.kill(signal.SIGCONT)
        await first.gone()
    assert "was taken for dead" in first.log.read_text()
    assert place.ledger() == before
    assert (await place.ask("SELECT * FROM sagas.sagas"))[0] == row
    assert effects(place) == EFFECTS and row["state"] == "COMPLETED"


@pytest.mark.slow
async def test_a_second_life_under_the_same_name_shuts_the_first_one_out(place: Place) -> None:
    """The old pod drains while the new one with its name recovers (DBOS #804): nothing is stranded, nothing doubled."""
    place.fault(**slow("ReserveWorkspace", 1.5))
    old = place.start("sagas-0")
    async with caller_of(old) as caller:
        saga = await caller.start(*ONBOARDING)
        await asked_for(place, "ReserveWorkspace")
    place.ports.clear()  # as another pod has another address
    place.start("sagas-0")
    await place.ended(saga.saga_id)
    await old.gone()
    assert await place.state(saga.saga_id) == "COMPLETED"
    assert effects(place) == EFFECTS
    assert "started a second time" in old.log.read_text()


@pytest.mark.slow
async def test_a_replica_that_is_told_to_stop_is_inherited_at_once(place: Place) -> None:
    place.fault(**slow("ReserveWorkspace", 1.5))
    first = place.start("sagas-0", lease_seconds=300.0)
    async with caller_of(first) as caller:
        saga = await caller.start(*ONBOARDING)
        await asked_for(place, "ReserveWorkspace")
        second = place.start("sagas-1")
        first.kill(signal.SIGTERM)
        await first.gone()
    await place.ended(saga.saga_id)
    assert await place.state(saga.saga_id) == "COMPLETED" and second.is_alive()
    assert effects(place) == EFFECTS


@pytest.mark.slow
async def test_a_start_whose_replica_died_before_the_engine_heard_of_it_is_taken_up(place: Place) -> None:
    service = place.start()
    async with caller_of(service) as caller:
        await caller.start("workspace_creation", {"name": "other", "user_id": "u2"}, "key-2")
    rows = "INSERT INTO sagas.{} VALUES {}"
    saga = "('s1', 'user_onboarding', 'PENDING', 'u1', '', '', '{\"user_id\": \"u1\"}')"
    columns = "sagas (saga_id, type, state, business_key, tenant, principal, input)"
    await place.ask(rows.format(columns, saga))
    names = ("create_profile", "reserve_workspace", "declare_workspace", "activate_workspace", "welcome_letter")
    for position, name in enumerate(names):
        await place.ask(rows.format("steps (saga_id, position, name, tenant)", f"('s1', {position}, '{name}', '')"))
    await place.ended("s1")
    assert await place.state("s1") == "COMPLETED"


@pytest.mark.slow
@pytest.mark.parametrize("rpc", ["CreateProfile", "DeclareWorkspace", "SendLetter"])
async def test_a_receiver_killed_after_its_effect_is_asked_again_and_has_it_once(place: Place, rpc: str) -> None:
    place.fault(**{rpc: {"code": "", "times": 1, "seconds": 3.0, "after": True}})
    async with caller_of(place.start()) as caller:
        saga = await caller.start(*ONBOARDING)
        await until(lambda: rpc in effects(place), rpc)
        await place.kill_receivers()
        await asyncio.sleep(0.5)
        place.start_receivers()
        await place.ended(saga.saga_id)
    assert await place.state(saga.saga_id) == "COMPLETED"
    assert effects(place) == EFFECTS
    assert [entry["rpc"] for entry in place.ledger("repeated")] == [rpc]


@pytest.mark.slow
async def test_what_never_arrived_is_refused_after_it_was_undone(place: Place) -> None:
    """A step whose outcome nobody knows is undone too: the receiver keeps a tombstone."""
    place.fault(BindBase={"code": "INVALID_ARGUMENT", "times": 1})
    async with caller_of(place.start()) as caller:
        saga = await caller.start("base_connection", {"workspace": WORKSPACE, "base_id": BASE}, "key-1")
        await place.ended(saga.saga_id)
    assert await place.state(saga.saga_id) == "COMPENSATED"
    assert [entry["key"] for entry in place.ledger("tombstone")] == [f"{saga.saga_id}:bind"]


@pytest.mark.slow
@pytest.mark.parametrize("rpc", ["CreateProfile", "ActivateWorkspace"])
async def test_postgresql_killed_at_a_step_ends_no_saga_wrongly(place: Place, postgres: Postgres, rpc: str) -> None:
    place.fault(**slow(rpc, 1.0))
    service = place.start()
    async with caller_of(service) as caller:
        saga = await caller.start(*ONBOARDING)
        await asked_for(place, rpc)
        postgres.kill()
        await asyncio.sleep(1.0)
        postgres.restart()
    await place.ended(saga.saga_id)
    assert await place.state(saga.saga_id) == "COMPLETED" and service.is_alive()
    assert effects(place) == EFFECTS
