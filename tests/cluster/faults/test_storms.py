"""The API server or the platform refuses, is slow, restarts or is away: bounded tries, and all is well after (O7)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import grpc
import pytest
from kubernetes_kit import operations, tenants
from kubernetes_kit.api_calls import Call
from kubernetes_kit.api_faults import Cut, Hang, Refuse, Slow, writes
from kubernetes_kit.arena import Arena, about
from kubernetes_kit.operations import converge
from kubernetes_kit.wait import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

STORM = 6.0
"""Seconds of a storm."""

ATTEMPTS_PER_WRITE = 24
"""At most, in a storm, for each write of the pass: four sends of a request, and the queue's doubling delays."""


@pytest.fixture(scope="module")
def expected(arena: Arena) -> operations.Outcome:
    """A workspace that was made in calm."""
    with arena.running():
        found = operations.undisturbed(arena, operations.OPERATIONS["create"], "calm")
    arena.forget()
    return found


@pytest.fixture(autouse=True)
def ended(arena: Arena) -> Iterator[None]:
    yield
    arena.platform.heal()
    arena.end()
    arena.forget()


LATER = pytest.mark.torture
"""Of equal storms one is tried in `make test`, the others in `make torture`."""


@pytest.mark.parametrize(
    ("status", "retry_after"),
    [pytest.param(409, None, marks=LATER), (429, 1), pytest.param(500, None, marks=LATER), (503, None)],
)
def test_a_storm_of_refusals(arena: Arena, expected: operations.Outcome, status: int, retry_after: int | None) -> None:
    """Every write is refused for a while. The number of tries is bounded, then everything is as made in calm."""
    name = f"storm-{status}"
    storm = Refuse(status, about(name), retry_after=retry_after)
    with arena.running():
        arena.proxy.reset()
        with arena.proxy.fault(storm):
            arena.create(name)
            time.sleep(STORM)
        assert 1 <= storm.refused <= ATTEMPTS_PER_WRITE * 3, f"{storm.refused} refused writes in {STORM} s"
        converge(arena, name, expected.state, f"a storm of {status}")
    assert len(arena.writes(name)) <= len(expected.writes) + 3, arena.writes(name)
    assert arena.keys_written(name) == 1


@pytest.mark.parametrize("status", [409, 500])
def test_every_second_write_is_refused(arena: Arena, expected: operations.Outcome, status: int) -> None:
    name = f"every-second-{status}"
    with arena.running(), arena.proxy.fault(Refuse(status, about(name), every=2)):
        arena.create(name)
        converge(arena, name, expected.state, "every second write refused")
    assert arena.keys_written(name) == 1


@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
def test_connections_break(arena: Arena, expected: operations.Outcome, answered: bool) -> None:
    """The first tries of every write are lost, or their answers are."""
    name = f"broken-{answered}".lower()
    seen: dict[str, int] = {}

    def first_two(call: Call) -> bool:
        if not about(name)(call):
            return False
        seen[call.target.key] = seen.get(call.target.key, 0) + 1
        return seen[call.target.key] <= 2

    with arena.running(), arena.proxy.fault(Cut(first_two, answered=answered)):
        arena.create(name)
        converge(arena, name, expected.state, "broken connections")
    assert arena.keys_written(name) == 1


def test_writes_that_are_never_answered(arena: Arena, expected: operations.Outcome) -> None:
    """The operator's deadline ends them."""
    hanging = Hang(lambda call: about("hanging")(call) and call.target.resource == "networkpolicies")
    with arena.running(REQUEST_TIMEOUT_SECONDS="1"):
        with arena.proxy.fault(hanging):
            arena.create("hanging")
            eventually(lambda: hanging.count >= 2, what="a second try")
        converge(arena, "hanging", expected.state, "writes that hung")


def test_a_slow_api_server(arena: Arena, expected: operations.Outcome) -> None:
    with arena.running(), arena.proxy.fault(Slow(0.3, writes)):
        arena.create("slow")
        converge(arena, "slow", expected.state, "a slow API server")
    assert len(arena.writes("slow")) <= len(expected.writes) + 1


@pytest.mark.parametrize("hard", [False, True], ids=["restart", "kill"])
def test_the_api_server_restarts(arena: Arena, expected: operations.Outcome, hard: bool) -> None:
    """In the middle of a pass. The operator outlives it, unless its Lease ran out; then it starts again."""
    name = f"restart-{hard}".lower()
    with arena.running(LEASE_SECONDS="60") as operator:
        arena.create(name)
        eventually(lambda: arena.writes(name), what="the first write")
        arena.plane.restart_apiserver(hard=hard)
        converge(arena, name, expected.state, "a restart of the API server")
        assert operator.ready()
    assert arena.keys_written(name) == 1


def test_a_quota_on_objects(arena: Arena) -> None:
    """The platform team allows no Secret any more and the access Secret is lost: said in a condition, without haste."""
    quota, secret = (f"/api/v1/namespaces/ws-limited/{one}" for one in ("resourcequotas", "secrets"))
    with arena.running():
        operations.ready_before(arena, "limited")
        arena.change("limited", {"spec": {"namespace": {"quota": {"count/secrets": "0"}}}})
        eventually(
            lambda: "count/secrets" in tenants.get(arena.plane.api, f"{quota}/pyairtable")["status"].get("used", {}),
            what="the quota counted",
        )
        arena.plane.api.delete(f"{secret}/pyairtable-access").raise_for_status()

        def told() -> bool:
            condition = tenants.condition(arena.workspace("limited"), "Ready")
            assert condition["status"] == "False", condition
            assert "quota" in condition["message"].lower(), condition
            return True

        eventually(told, what="a condition that names the quota")
        arena.proxy.reset()
        time.sleep(STORM)
        tries = [call for call in tuple(arena.proxy.calls) if about("limited")(call)]
        assert len(tries) <= ATTEMPTS_PER_WRITE, tries
        arena.change("limited", {"spec": {"namespace": {"quota": {"count/secrets": None}}}})
        arena.ready("limited")


def test_the_platform_is_away_and_comes_back(arena: Arena, expected: operations.Outcome) -> None:
    """Everything in the cluster is made; conditions say what is missing; calls of the platform are bounded."""
    with arena.running():
        arena.platform.stop()
        try:
            arena.create("alone")

            def told() -> bool:
                condition = tenants.condition(arena.workspace("alone"), "PlatformSynced")
                assert condition.get("reason") == "PlatformUnavailable", condition
                return True

            eventually(told, what="a condition that says so")
            arena.proxy.reset()
            time.sleep(3)
            assert len(arena.writes("alone")) <= 6, arena.writes("alone")
        finally:
            arena.platform.start()
        converge(arena, "alone", expected.state, "the platform away for a while")
    assert arena.keys_written("alone") <= 1


@pytest.mark.parametrize(
    "service", ["workspaces", pytest.param("auth", marks=LATER), pytest.param("airtable", marks=LATER)]
)
def test_one_service_answers_with_errors(arena: Arena, expected: operations.Outcome, service: str) -> None:
    name = f"ill-{service}"
    with arena.running():
        arena.platform.fail(grpc.StatusCode.UNAVAILABLE, "", service)
        arena.platform.state.calls.clear()
        arena.create(name)
        eventually(lambda: tenants.condition(arena.workspace(name), "Ready").get("status") == "False", what="not Ready")
        time.sleep(STORM)
        calls = sum(arena.platform.state.calls.values())
        assert calls <= 60, arena.platform.state.calls
        arena.platform.heal()
        converge(arena, name, expected.state, f"{service} ill for a while")


def test_a_platform_that_never_answers(arena: Arena, expected: operations.Outcome) -> None:
    """A deadline ends the calls; other workspaces are not held up."""
    with arena.running(PLATFORM_TIMEOUT_SECONDS="1", VERIFY_TIMEOUT_SECONDS="1"):
        arena.platform.slow(3600)
        for number in range(10):
            arena.create(f"mute-{number}")
        eventually(
            lambda: all(tenants.condition(arena.workspace(f"mute-{n}"), "PlatformSynced") for n in range(10)),
            what="conditions of all",
        )
        arena.platform.heal()
        for number in range(10):
            converge(arena, f"mute-{number}", expected.state, "a platform that did not answer")
