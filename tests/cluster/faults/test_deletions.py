"""Deletions end, whatever is away: the platform, Airtable, the credential, the operator itself (O8)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from kubernetes_kit import operations, tenants
from kubernetes_kit.arena import Arena
from kubernetes_kit.operator_process import CREDENTIALS_NAMESPACE
from kubernetes_kit.wait import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture(autouse=True)
def ended(arena: Arena) -> Iterator[None]:
    yield
    arena.platform.heal()
    arena.end()
    arena.forget()


def gone(arena: Arena, name: str) -> None:
    """Wait until nothing of it is left in the cluster."""
    eventually(lambda: operations.is_gone(arena, name), what=f"{name} gone", seconds=60)
    assert not list(tenants.objects(arena.plane.api, name))


def forgotten(arena: Arena, name: str) -> bool:
    """Whether the platform knows neither workspace nor key."""
    return name not in arena.platform.state.registry and not arena.platform.state.keys.get(name)


def test_with_airtable_and_gateway_away(arena: Arena) -> None:
    with arena.running():
        operations.ready_before(arena, "no-airtable")
        arena.platform.fail(grpc.StatusCode.UNAVAILABLE, "", "airtable")
        arena.delete("no-airtable")
        gone(arena, "no-airtable")
    assert forgotten(arena, "no-airtable")


def test_with_the_credential_gone(arena: Arena) -> None:
    with arena.running():
        operations.ready_before(arena, "no-secret")
        path = f"/api/v1/namespaces/{CREDENTIALS_NAMESPACE}/secrets/no-secret-airtable"
        arena.plane.api.delete(path).raise_for_status()
        arena.delete("no-secret")
        gone(arena, "no-secret")
    assert forgotten(arena, "no-secret")


def test_with_the_platform_away_it_waits_and_then_ends(arena: Arena) -> None:
    """The grace passes, the deletion ends; when the platform is back it is told what it missed."""
    with arena.running(DELETION_GRACE_SECONDS="3"):
        operations.ready_before(arena, "late")
        arena.platform.stop()
        try:
            arena.delete("late")
            time.sleep(1)
            assert arena.workspace("late"), "it did not wait for the platform"
            gone(arena, "late")
            assert "late" in arena.platform.state.registry
        finally:
            arena.platform.start()
        eventually(lambda: forgotten(arena, "late"), what="a platform that was told")


def test_with_the_platform_away_and_force(arena: Arena) -> None:
    with arena.running(DELETION_GRACE_SECONDS="3600"):
        operations.ready_before(arena, "forced")
        arena.platform.stop()
        try:
            arena.delete("forced")
            time.sleep(1)
            assert arena.workspace("forced")
            arena.change("forced", {"metadata": {"annotations": {"pyairtable.dev/force-delete": "true"}}})
            gone(arena, "forced")
        finally:
            arena.platform.start()
        eventually(lambda: forgotten(arena, "forced"), what="a platform that was told")


def test_while_the_operator_is_away(arena: Arena) -> None:
    with arena.running():
        operations.ready_before(arena, "unattended")
    arena.delete("unattended")
    with arena.running():
        gone(arena, "unattended")
    assert forgotten(arena, "unattended")


def test_finalizer_taken_off_while_the_operator_is_away(arena: Arena) -> None:
    """What no finalizer could announce is found by comparing the registry with the Workspaces."""
    with arena.running():
        operations.ready_before(arena, "torn-off")
    arena.change("torn-off", {"metadata": {"finalizers": None}})
    arena.delete("torn-off")
    assert not arena.workspace("torn-off")
    with arena.running():
        eventually(lambda: forgotten(arena, "torn-off"), what="a platform without it")
        eventually(lambda: not rights_on(arena, "torn-off"), what="no rights on what is not there")


def rights_on(arena: Arena, name: str) -> list[Any]:
    """Cluster-wide objects that the operator made for a workspace."""
    group = "/apis/rbac.authorization.k8s.io/v1"
    kinds = ("clusterroles", "clusterrolebindings")
    selector = f"pyairtable.dev/workspace={name}"
    return [
        item
        for kind in kinds
        for item in tenants.get(arena.plane.api, f"{group}/{kind}", labelSelector=selector)["items"]
    ]


def test_deleted_and_made_again_while_the_operator_is_away(arena: Arena) -> None:
    """Another Workspace of the same name: the namespace of the first is not its own, and is not taken silently."""
    with arena.running():
        operations.ready_before(arena, "again")
        key = tenants.access_key(arena.plane.api, "ws-again")
    arena.change("again", {"metadata": {"finalizers": None}})
    arena.delete("again")
    arena.create("again")
    with arena.running():

        def refused() -> bool:
            condition = tenants.condition(arena.workspace("again"), "NamespaceReady")
            assert condition.get("reason") == "NamespaceNotOurs", condition
            return True

        eventually(refused, what="a condition that says so")
        operations.quiet(arena, "again", seconds=1)
        assert tenants.access_key(arena.plane.api, "ws-again") in (key, "")
        arena.delete("again")
        eventually(lambda: not arena.workspace("again"), what="the second gone")
        assert tenants.get(arena.plane.api, "/api/v1/namespaces/ws-again"), "a foreign namespace was deleted"


def test_before_the_first_pass_was_done(arena: Arena) -> None:
    """Made and deleted at once, with an operator that is in the middle of it."""
    with arena.running():
        for number in range(3):
            arena.create(f"brief-{number}")
        eventually(lambda: arena.writes("brief-0"), what="the first write")
        for number in range(3):
            arena.delete(f"brief-{number}")
        for number in range(3):
            gone(arena, f"brief-{number}")
            assert forgotten(arena, f"brief-{number}")


def test_a_namespace_that_does_not_end_is_told(arena: Arena) -> None:
    """Somebody's finalizer holds an object in the namespace: the Workspace says so and waits without haste."""
    with arena.running():
        operations.ready_before(arena, "held")
        held = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "held", "namespace": "ws-held", "finalizers": ["example.com/held"]},
        }
        path = "/api/v1/namespaces/ws-held/configmaps/held"
        arena.apply(path, held)
        arena.delete("held")
        eventually(
            lambda: tenants.get(arena.plane.api, "/api/v1/namespaces/ws-held")["metadata"].get("deletionTimestamp"),
            what="the namespace being deleted",
        )
        arena.proxy.reset()
        time.sleep(4)
        assert arena.workspace("held")
        assert len(arena.writes("held")) <= 4, arena.writes("held")
        arena.plane.api.patch(
            path, content=b'{"metadata":{"finalizers":null}}', headers={"Content-Type": "application/merge-patch+json"}
        ).raise_for_status()
        gone(arena, "held")
