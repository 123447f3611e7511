"""Two operators: the one that slept past its Lease writes nothing when it wakes (O4)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from kubernetes_kit import operations
from kubernetes_kit.api_calls import Call
from kubernetes_kit.api_proxy import ApiProxy, Fault, Reply
from kubernetes_kit.arena import LEASE, Arena, about
from kubernetes_kit.operator_zygote import ForkedOperator
from kubernetes_kit.wait import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture(autouse=True)
def ended(arena: Arena) -> Iterator[None]:
    yield
    arena.end()
    arena.forget()


class Sleep(Fault):
    """SIGSTOP for the client once its Nth write was answered; the answer waits for it."""

    def __init__(self, name: str, number: int) -> None:
        self.operator: ForkedOperator | None = None
        self._where, self._number, self._seen = about(name), number, 0
        self.asleep = False

    async def after(self, call: Call, reply: Reply) -> Reply:
        if self._where(call):
            self._seen += 1
            if self._seen == self._number and self.operator is not None:
                self.operator.process.send_signal(signal.SIGSTOP)  # type: ignore[union-attr]
                self.asleep = True
        return reply


@pytest.fixture
def second(arena: Arena) -> Iterator[ForkedOperator]:
    """Another replica, behind a proxy of its own; not started."""
    with ExitStack() as stack:
        proxy = stack.enter_context(ApiProxy(arena.plane.server_url, arena.plane.ca_file))
        operator = ForkedOperator(
            arena.zygote,
            arena.kubeconfig,
            arena.platform.env,
            name="operator-b",
            server_url=proxy.url,
            env={"RESYNC_SECONDS": "2", "LEASE_SECONDS": "3"},
        )
        yield operator
        operator.resume()
        operator.kill()
        operator.folder.cleanup()


@pytest.mark.parametrize("number", [1, 7, 14])
def test_who_slept_past_his_lease_writes_nothing(arena: Arena, second: ForkedOperator, number: int) -> None:
    """The leader is stopped in the middle of a pass; another takes over and finishes; then the first wakes."""
    name = f"sleeper-{number:02}"
    sleep = Sleep(name, number)
    with arena.proxy.fault(sleep):
        first = arena.start(LEASE_SECONDS="3").wait_leading()
        sleep.operator = first
        second.start()
        arena.create(name)
        eventually(lambda: sleep.asleep, what="the leader asleep in the middle of a pass")
        second.wait_leading()
        arena.ready(name)
        operations.quiet(arena, name)
        state, before = arena.state(name), len(arena.proxy.writes())
        arena.platform_calls.clear()
        first.resume()
        assert first.process is not None
        assert first.process.wait(30) != 0
    assert arena.proxy.writes()[before:] == []
    assert arena.platform_calls == []
    assert arena.state(name) == state
    assert arena.keys_written(name) <= 1


def test_a_leader_that_ends_in_order_hands_over_at_once(arena: Arena, second: ForkedOperator) -> None:
    """SIGTERM gives the Lease back: the other need not wait until it runs out."""
    first = arena.start(LEASE_SECONDS="60").wait_leading()
    second.env["LEASE_SECONDS"] = "60"
    second.start().wait_ready()
    assert second.metric("pyairtable_operator_leader") == 0
    assert first.stop() == 0
    second.wait_leading(seconds=30)


def test_a_lease_taken_by_force_ends_the_leader(arena: Arena) -> None:
    first = arena.start(LEASE_SECONDS="3").wait_leading()
    patch = b'{"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 600}}'
    headers = {"Content-Type": "application/merge-patch+json"}
    arena.plane.api.patch(LEASE, content=patch, headers=headers).raise_for_status()
    assert first.process is not None
    assert first.process.wait(30) != 0
    arena.plane.api.delete(LEASE).raise_for_status()


def test_only_the_leader_writes(arena: Arena, second: ForkedOperator) -> None:
    arena.start(LEASE_SECONDS="3").wait_leading()
    second.start().wait_ready()
    arena.create("led")
    arena.ready("led")
    assert second.metric("pyairtable_operator_reconciles") == 0
