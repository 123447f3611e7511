"""The operations of a workspace's life, and what a run of one leaves behind: with a kill somewhere, or without."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubernetes_kit import tenants
from kubernetes_kit.api_faults import Kill
from kubernetes_kit.arena import Arena, about
from kubernetes_kit.wait import eventually

Body = dict[str, Any]
Step = Callable[[Arena, str], None]
Check = Callable[[Arena, str], bool]


@dataclass(frozen=True)
class Operation:
    """What is there before, what the person does, and what is true when the operator has done its part."""

    name: str
    prepare: Step
    act: Step
    done: Check
    keys: int
    """Access keys that it makes."""


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    state: Body
    writes: list[str]
    changes: int
    """Writes that changed something."""
    platform_writes: list[str]
    keys: int
    seconds: float


def nothing_before(arena: Arena, name: str) -> None:
    """A new workspace."""


def ready_before(arena: Arena, name: str) -> None:
    """A workspace that is Ready."""
    arena.create(name)
    arena.ready(name)
    quiet(arena, name)


def suspended_before(arena: Arena, name: str) -> None:
    ready_before(arena, name)
    suspend(arena, name)
    eventually(lambda: is_suspended(arena, name), what=f"{name} suspended")
    quiet(arena, name)


def foreign_namespace_before(arena: Arena, name: str) -> None:
    """A namespace of somebody's, who lets the workspace have it."""
    labels, annotations = {"team": "blue"}, {"pyairtable.dev/adopt-by": name}
    metadata = {"name": f"ws-{name}", "labels": labels, "annotations": annotations}
    arena.apply(f"/api/v1/namespaces/ws-{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def retained_before(arena: Arena, name: str) -> None:
    arena.create(name, deletionPolicy="Retain")
    arena.ready(name)
    quiet(arena, name)


def create(arena: Arena, name: str) -> None:
    arena.create(name)


def update(arena: Arena, name: str) -> None:
    """Something of every part: a quota, an owner, a base more, no limits, another display name."""
    bases = [
        {"name": "crm", "baseId": "appFaultsCrm00001", "default": True},
        {"name": "stock", "baseId": "appFaultsStock001"},
    ]
    spec = {
        "displayName": "Another name",
        "owners": [{"kind": "Group", "name": "blue"}],
        "airtable": {"bases": bases},
        "namespace": {"quota": {"pods": "30"}, "limits": None, "podSecurity": "baseline"},
    }
    arena.change(name, {"spec": spec})


def rotate(arena: Arena, name: str) -> None:
    arena.change(name, {"metadata": {"annotations": {"pyairtable.dev/rotate-access-key": "now"}}})


def suspend(arena: Arena, name: str) -> None:
    arena.change(name, {"spec": {"suspend": True}})


def resume(arena: Arena, name: str) -> None:
    arena.change(name, {"spec": {"suspend": False}})


def delete(arena: Arena, name: str) -> None:
    arena.delete(name)


def is_ready(arena: Arena, name: str) -> bool:
    return arena.is_ready(name)


def is_rotated(arena: Arena, name: str) -> bool:
    """The status, the Secret and the platform know the new key, and the platform the one before."""
    key = tenants.sha256(tenants.access_key(arena.plane.api, f"ws-{name}"))
    status = arena.workspace(name)["status"]["accessKey"]
    return status["hash"] == key[:16] and len(arena.platform.state.keys[name]) == 2


def is_suspended(arena: Arena, name: str) -> bool:
    body = arena.workspace(name)
    return tenants.is_current(body, status="False") and tenants.condition(body, "Ready")["reason"] == "Suspended"


def is_gone(arena: Arena, name: str) -> bool:
    return not arena.workspace(name) and not tenants.get(arena.plane.api, f"/api/v1/namespaces/ws-{name}")


def is_released(arena: Arena, name: str) -> bool:
    return not arena.workspace(name)


OPERATIONS = {
    one.name: one
    for one in (
        Operation("create", nothing_before, create, is_ready, keys=1),
        Operation("update", ready_before, update, is_ready, keys=0),
        Operation("rotate", ready_before, rotate, is_rotated, keys=1),
        Operation("suspend", ready_before, suspend, is_suspended, keys=0),
        Operation("resume", suspended_before, resume, is_ready, keys=0),
        Operation("adopt", foreign_namespace_before, create, is_ready, keys=1),
        Operation("delete", ready_before, delete, is_gone, keys=0),
        Operation("release", retained_before, delete, is_released, keys=0),
    )
}
"""`release` is a deletion that retains the namespace."""


def quiet(arena: Arena, name: str, *, seconds: float = 0.4) -> None:
    """Wait until the operator has written nothing about the workspace for a while."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < seconds:
        now = len(arena.writes(name)) + len(platform_writes(arena, name))
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.05)


def platform_writes(arena: Arena, name: str) -> list[str]:
    """Calls by which the operator changed the platform, in order."""
    return [rpc for rpc, workspace in arena.platform_calls if workspace == name]


def begin(arena: Arena, operation: Operation, name: str) -> None:
    """Prepare, with the operator running; what is counted begins here."""
    operation.prepare(arena, name)
    arena.proxy.reset()
    arena.platform_calls.clear()


def undisturbed(arena: Arena, operation: Operation, name: str) -> Outcome:
    """The operation without a fault: what all others are compared with."""
    started = time.monotonic()
    begin(arena, operation, name)
    operation.act(arena, name)
    eventually(lambda: operation.done(arena, name), what=f"{operation.name} done")
    quiet(arena, name, seconds=1)
    return outcome(arena, name, started)


def killed(arena: Arena, operation: Operation, name: str, number: int, expected: Body, *, answered: bool) -> Outcome:
    """The operation with the operator killed at its Nth write, and another started."""
    started = time.monotonic()
    begin(arena, operation, name)
    kill = Kill(arena.operator.pid, number, answered=answered, where=about(name))
    with arena.proxy.fault(kill):
        operation.act(arena, name)
        assert kill.killed.wait(60), f"{operation.name} had no write number {number}: {arena.writes(name)}"
    arena.start()
    converge(arena, name, expected, f"{operation.name} killed at write {number} ({kill.at})")
    return outcome(arena, name, started)


def killed_at_platform(arena: Arena, operation: Operation, name: str, number: int, expected: Body) -> Outcome:
    """As `killed`, at its Nth call that would change something on the platform, before it does."""
    started = time.monotonic()
    begin(arena, operation, name)
    dead = arena.kill_at_platform_call(name, number)
    operation.act(arena, name)
    assert dead.wait(60), f"{operation.name} had no platform call number {number}: {arena.platform_calls}"
    arena.start()
    converge(arena, name, expected, f"{operation.name} killed at platform call {number}")
    return outcome(arena, name, started)


def converge(arena: Arena, name: str, expected: Body, what: str) -> None:
    """Wait until everything is as after an undisturbed run, and stays so."""

    def same() -> bool:
        found = arena.state(name)
        assert found == expected, difference(found, expected)
        return True

    eventually(same, what=what, seconds=45)
    quiet(arena, name)
    same()


def difference(found: Body, expected: Body) -> str:
    """The paths at which two states differ."""
    return "; ".join(differing(found, expected, "")) or "no difference"


def differing(found: Any, expected: Any, path: str) -> list[str]:
    if isinstance(found, dict) and isinstance(expected, dict):
        names = sorted({*found, *expected})
        return [text for name in names for text in differing(found.get(name), expected.get(name), f"{path}.{name}")]
    return [] if found == expected else [f"{path}: {found} instead of {expected}"]


def outcome(arena: Arena, name: str, started: float) -> Outcome:
    return Outcome(
        state=arena.state(name),
        writes=[str(call).replace(name, "<workspace>") for call in arena.writes(name)],
        changes=sum(call.changed is True for call in arena.writes(name)),
        platform_writes=platform_writes(arena, name),
        keys=arena.keys_written(name),
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True)
class Runs:
    """Kill points of some operations, judged by their undisturbed runs."""

    arena: Arena
    plain: dict[str, Outcome]

    def check_tables(self, name: str, writes: int, platform_writes: int) -> None:
        """Whether an operation takes as many writes as there are kill points for it."""
        found = self.plain[name]
        assert len(found.writes) == writes, found.writes
        assert len(found.platform_writes) == platform_writes, found.platform_writes
        assert found.keys == OPERATIONS[name].keys

    def kill(self, name: str, number: int, *, answered: bool) -> None:
        """The operation, killed at a write."""
        workspace = f"{name}-{'after' if answered else 'before'}-{number:02}"
        operation, plain = OPERATIONS[name], self.plain[name]
        self.judge(killed(self.arena, operation, workspace, number, plain.state, answered=answered), plain)

    def kill_at_platform(self, name: str, number: int) -> None:
        """The operation, killed before it changes the platform."""
        operation, plain = OPERATIONS[name], self.plain[name]
        found = killed_at_platform(self.arena, operation, f"{name}-platform-{number:02}", number, plain.state)
        self.judge(found, plain)

    @staticmethod
    def judge(found: Outcome, plain: Outcome) -> None:
        """No second access key, at most one write more, and at most one that changed more."""
        assert found.keys <= plain.keys
        assert len(found.writes) <= len(plain.writes) + 1, found.writes
        assert found.changes <= plain.changes + 1, found.writes
