"""A wrong view of the cluster: old lists, lost, doubled and reordered events, dead and forgotten watches (O2, O3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from kubernetes_kit import operations, tenants
from kubernetes_kit.api_calls import Call
from kubernetes_kit.api_faults import EndAtOnce, Gone, Hang, Hide, Shuffle, Silence, Stale
from kubernetes_kit.arena import Arena
from kubernetes_kit.operations import converge
from kubernetes_kit.wait import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

RESOURCES = {
    "namespaces": "Namespace",
    "resourcequotas": "ResourceQuota",
    "limitranges": "LimitRange",
    "networkpolicies": "NetworkPolicy",
    "serviceaccounts": "ServiceAccount",
    "roles": "Role",
    "rolebindings": "RoleBinding",
    "clusterroles": "ClusterRole",
    "clusterrolebindings": "ClusterRoleBinding",
    "secrets": "Secret",
    "basebindings": "BaseBinding",
    "workspaces": "Workspace",
}

TELLING = ("namespaces", "rolebindings", "secrets", "basebindings", "workspaces")
"""Kinds that are handled in a way of their own, and one of the others, which `make torture` tries as well."""

KOPFS = ("workspaces", "basebindings", "customresourcedefinitions")
"""Watched by kopf, the first two by us as well."""


@pytest.fixture(autouse=True)
def ended(arena: Arena) -> Iterator[None]:
    """Every test starts its own operators; what it made goes."""
    yield
    arena.end()
    arena.forget()


def now(arena: Arena) -> str:
    """The resourceVersion of this moment."""
    return str(tenants.get(arena.plane.api, "/api/v1/namespaces", limit="1")["metadata"]["resourceVersion"])


def of_a_watch(by_event: bool) -> Callable[[Call], bool]:
    """All watches; for a 410 as the status of the answer not those of kopf, which ends the process by it."""
    return lambda call: call.watches and (by_event or call.target.resource not in KOPFS)


def settled(arena: Arena, name: str) -> dict[str, object]:
    """A workspace that is Ready and quiet, as it is."""
    operations.ready_before(arena, name)
    return arena.state(name)


@pytest.mark.parametrize(
    "resource", [kind if kind in TELLING else pytest.param(kind, marks=pytest.mark.torture) for kind in RESOURCES]
)
def test_one_kind_is_seen_as_it_was_before_everything(arena: Arena, resource: str) -> None:
    """A restarted operator sees a kind as of before the workspace was made: nothing is made twice or undone."""
    name = f"old-{resource}"
    before = now(arena)
    with arena.running():
        expected = settled(arena, name)
    stale = Stale(before, where=lambda call: call.target.resource == resource)
    arena.proxy.reset()
    with arena.proxy.fault(stale), arena.running():
        eventually(lambda: stale.lists, what="a list of the past")
        time.sleep(0.5)  # for what it would do wrongly
        stale.thaw.set()
        converge(arena, name, expected, f"an old view of {resource}")
    assert arena.keys_written(name) == 0
    objects = [call for call in arena.writes(name) if not call.target.subresource]
    assert not [call for call in objects if call.verb == "delete"], objects
    assert all(call.target.resource in (resource, "workspaces") for call in objects), objects


def test_a_change_is_not_undone_from_an_old_view(arena: Arena) -> None:
    """The operator is restarted and sees all of the cluster as of before the last changes of the workspace."""
    with arena.running():
        settled(arena, "past")
        before = now(arena)
        operations.rotate(arena, "past")
        eventually(lambda: operations.is_rotated(arena, "past"), what="a new key")
        operations.update(arena, "past")
        arena.ready("past")
        operations.quiet(arena, "past")
        expected = arena.state("past")
        key = tenants.access_key(arena.plane.api, "ws-past")
    stale = Stale(before)
    arena.proxy.reset()
    with arena.proxy.fault(stale), arena.running():
        eventually(lambda: stale.lists >= len(RESOURCES), what="lists of the past")
        time.sleep(0.5)  # for what it would do wrongly
        stale.thaw.set()
        converge(arena, "past", expected, "a view of the past")
    assert tenants.access_key(arena.plane.api, "ws-past") == key
    assert arena.keys_written("past") == 0


def test_a_workspace_of_the_past_is_not_brought_back(arena: Arena) -> None:
    """The view still has a workspace that was deleted long ago: registry and keys are empty in the end."""
    with arena.running():
        settled(arena, "bygone")
        before = now(arena)
        operations.delete(arena, "bygone")
        eventually(lambda: operations.is_gone(arena, "bygone"), what="the deletion")
    stale = Stale(before)
    with arena.proxy.fault(stale), arena.running():
        eventually(lambda: stale.lists >= len(RESOURCES), what="lists of the past")
        time.sleep(0.5)  # for what it would do wrongly
        stale.thaw.set()

        def nothing_left() -> bool:
            state = arena.state("bygone")
            assert state == {"Platform": {"registry": {}, "keys": []}}, state
            return True

        eventually(nothing_left, what="nothing left of it")
        operations.quiet(arena, "bygone")
        nothing_left()


def test_events_doubled_and_out_of_order(arena: Arena) -> None:
    with arena.running():
        expected = settled(arena, "in-order")
    shuffle = Shuffle()
    with arena.running(), arena.proxy.fault(shuffle):
        arena.create("shuffled")
        converge(arena, "shuffled", expected, "shuffled events")
    assert shuffle.repeated
    assert arena.keys_written("shuffled") == 1


@pytest.mark.parametrize("by_event", [False, True], ids=["status", "event"])
def test_what_was_not_heard_is_found_by_listing_again(arena: Arena, by_event: bool) -> None:
    """A deletion is never told, and then the watch's place in history is gone (410)."""
    name = f"unheard-{by_event}".lower()
    with arena.running():
        expected = settled(arena, name)
        policies = f"/apis/networking.k8s.io/v1/namespaces/ws-{name}/networkpolicies"
        hidden = Hide(lambda call, event: call.target.resource == "networkpolicies" and event["type"] == "DELETED")
        with arena.proxy.fault(hidden):
            arena.plane.api.delete(f"{policies}/pyairtable-default-deny").raise_for_status()
            eventually(lambda: hidden.hidden, what="an event nobody hears")
        gone = Gone(by_event=by_event, limit=40, where=of_a_watch(by_event))
        with arena.proxy.fault(gone):
            arena.proxy.cut_watches()
            eventually(lambda: gone.told, what="410")
        converge(arena, name, expected, "a deletion that nobody heard of")


@pytest.mark.parametrize("by_event", [False, True], ids=["status", "event"])
def test_410_without_end_is_no_hot_loop(arena: Arena, by_event: bool) -> None:
    with arena.running() as operator:
        settled(arena, f"gone-{by_event}".lower())
        gone = Gone(by_event=by_event, limit=10**9, where=of_a_watch(by_event))
        with arena.proxy.fault(gone):
            arena.proxy.cut_watches()
            arena.proxy.reset()
            time.sleep(5)
            lists = [call for call in tuple(arena.proxy.calls) if call.verb == "list"]
        assert len(lists) <= 20 * len(RESOURCES), f"{len(lists)} lists in 5 s"
        assert operator.ready()


def test_watches_that_end_at_once_are_no_hot_loop(arena: Arena) -> None:
    ending = EndAtOnce(of_a_watch(by_event=False))  # kopf opens its own again at once
    with arena.running():
        settled(arena, "ending")
        with arena.proxy.fault(ending):
            arena.proxy.cut_watches()
            time.sleep(5)
        assert ending.ended <= 20 * len(RESOURCES), f"{ending.ended} watches in 5 s"
        arena.plane.api.delete("/api/v1/namespaces/ws-ending/limitranges/pyairtable").raise_for_status()
        eventually(
            lambda: tenants.get(arena.plane.api, "/api/v1/namespaces/ws-ending/limitranges/pyairtable"), what="repair"
        )


def test_a_watch_that_died_silently_is_opened_anew(arena: Arena) -> None:
    """Connections stay open and nothing comes any more: the watch gives up on them and repairs what it missed."""
    with arena.running(constants={"watches.SILENCE": 1.5}):
        expected = settled(arena, "silent")
        silence = Silence(lambda call: call.watches and call.target.resource == "networkpolicies")
        path = "/apis/networking.k8s.io/v1/namespaces/ws-silent/networkpolicies/pyairtable-default-deny"
        with arena.proxy.fault(silence):
            arena.plane.api.delete(path).raise_for_status()
            eventually(lambda: silence.swallowed, what="an event nobody hears")
        converge(arena, "silent", expected, "a silent watch")


def test_liveness_fails_when_no_watch_hears_anything(arena: Arena) -> None:
    """Neither watches nor lists are answered: the kubelet is told to restart the operator."""
    hang = Hang(lambda call: call.verb in ("watch", "list"))
    with arena.running(constants={"watches.SILENCE": 1.5}, WATCH_SILENCE_SECONDS="10") as operator:
        assert operator.http("/healthz")[0] == 200
        with arena.proxy.fault(hang):
            arena.proxy.cut_watches()
            eventually(lambda: operator.http("/healthz")[0] == 503, what="a failing liveness probe", seconds=60)
