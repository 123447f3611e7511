"""Somebody deletes or edits what the operator made, at random: it is as before within moments (O5)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import orjson
import pytest
from kubernetes_kit import operations, tenants
from kubernetes_kit.arena import MERGE, Arena
from kubernetes_kit.operations import converge
from kubernetes_kit.wait import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

Body = dict[str, Any]
Tamper = Callable[[httpx2.Client, str], None]
NAME = "tampered"
SPACE = f"/api/v1/namespaces/ws-{NAME}"
POLICIES = f"/apis/networking.k8s.io/v1/namespaces/ws-{NAME}/networkpolicies"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
RIGHTS = f"{RBAC}/namespaces/ws-{NAME}"
OBJECTS = {
    "quota": f"{SPACE}/resourcequotas/pyairtable",
    "limits": f"{SPACE}/limitranges/pyairtable",
    "account": f"{SPACE}/serviceaccounts/pyairtable-app",
    "deny": f"{POLICIES}/pyairtable-default-deny",
    "dns": f"{POLICIES}/pyairtable-allow-dns",
    "platform": f"{POLICIES}/pyairtable-allow-platform",
    "role": f"{RIGHTS}/roles/pyairtable-owner",
    "owners": f"{RIGHTS}/rolebindings/pyairtable-owners",
    "cluster role": f"{RBAC}/clusterroles/pyairtable:workspace:{NAME}",
    "cluster owners": f"{RBAC}/clusterrolebindings/pyairtable:workspace:{NAME}",
    "binding": f"/apis/pyairtable.dev/v1alpha1/namespaces/ws-{NAME}/basebindings/crm",
}
"""Managed objects by a word for them; namespace and access Secret are tried apart."""

PATCHES: dict[str, tuple[str, Body]] = {
    "quota raised": ("quota", {"spec": {"hard": {"pods": "9999"}}}),
    "limits doubled": ("limits", {"spec": {"limits": [{"type": "Container", "default": {"cpu": "8"}}]}}),
    "policy opened": ("deny", {"spec": {"ingress": [{}]}}),
    "policy for other pods": ("deny", {"spec": {"podSelector": {"matchLabels": {"a": "b"}}}}),
    "policy without egress": ("deny", {"spec": {"policyTypes": ["Ingress"]}}),
    "role widened": ("role", {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}),
    "owner added": (
        "owners",
        {"subjects": [{"kind": "User", "name": "mallory", "apiGroup": "rbac.authorization.k8s.io"}]},
    ),
    "nobody owns": ("owners", {"subjects": []}),
    "cluster role widened": (
        "cluster role",
        {"rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]},
    ),
    "binding widened": ("binding", {"spec": {"access": "Schema"}}),
}


def metadata(**change: Any) -> Body:
    return {"metadata": change}


MARKS = {
    "without workspace label": metadata(labels={"pyairtable.dev/workspace": None}),
    "with another's label": metadata(labels={"pyairtable.dev/workspace": "somebody-else"}),
    "without managed-by label": metadata(labels={"app.kubernetes.io/managed-by": None}),
    "without owner uid": metadata(annotations={"pyairtable.dev/workspace-uid": None}),
    "with another's owner uid": metadata(annotations={"pyairtable.dev/workspace-uid": "0-0-0"}),
    "without any label": metadata(labels=None),
}
"""What links an object to its workspace: half of all failures that spread begin there (Mutiny, DSN'24)."""


@pytest.fixture(scope="module")
def intact(arena: Arena) -> Iterator[tuple[Arena, Body]]:
    """A Ready workspace with its operator, and how it is to be."""
    with arena.running():
        operations.ready_before(arena, NAME)
        yield arena, arena.state(NAME)
    arena.forget()


def patch(api: httpx2.Client, path: str, body: Body) -> None:
    answer = api.patch(path, content=orjson.dumps(body), headers=MERGE)
    answer.raise_for_status()


def repaired(intact: tuple[Arena, Body], what: str) -> float:
    """Wait until all is as before; seconds."""
    arena, expected = intact
    started = time.monotonic()
    converge(arena, NAME, expected, what)
    return time.monotonic() - started


@pytest.mark.parametrize("word", OBJECTS)
def test_a_deleted_object_comes_back(intact: tuple[Arena, Body], word: str) -> None:
    intact[0].plane.api.delete(OBJECTS[word]).raise_for_status()
    repaired(intact, f"{word} deleted")


@pytest.mark.parametrize("what", PATCHES)
def test_an_edit_is_taken_back(intact: tuple[Arena, Body], what: str) -> None:
    word, body = PATCHES[what]
    patch(intact[0].plane.api, OBJECTS[word], body)
    repaired(intact, what)


@pytest.mark.parametrize("what", MARKS)
@pytest.mark.parametrize("word", ["quota", "deny", "owners", "cluster owners", "binding"])
def test_marks_come_back(intact: tuple[Arena, Body], word: str, what: str) -> None:
    patch(intact[0].plane.api, OBJECTS[word], MARKS[what])
    repaired(intact, f"{word} {what}")


@pytest.mark.parametrize("label", ["pyairtable.dev/workspace", "pod-security.kubernetes.io/enforce"])
def test_labels_of_the_namespace_come_back(intact: tuple[Arena, Body], label: str) -> None:
    patch(intact[0].plane.api, SPACE, metadata(labels={label: None}))
    repaired(intact, f"the namespace without {label}")


def test_the_finalizer_comes_back(intact: tuple[Arena, Body]) -> None:
    patch(intact[0].plane.api, f"{tenants.WORKSPACES}/{NAME}", metadata(finalizers=None))
    repaired(intact, "the Workspace without its finalizer")


def test_the_status_comes_back(intact: tuple[Arena, Body]) -> None:
    """Somebody with the right to it writes nonsense into the status: it is found out anew, and no key is made."""
    arena, expected = intact
    key = tenants.access_key(arena.plane.api, f"ws-{NAME}")
    body = {"status": {"phase": "Degraded", "conditions": [], "bases": "7/9"}}
    patch(arena.plane.api, f"{tenants.WORKSPACES}/{NAME}/status", body)
    repaired(intact, "the status overwritten")
    assert tenants.access_key(arena.plane.api, f"ws-{NAME}") == key
    assert expected["Workspace"]["status"]["phase"] == "Ready"


def test_a_key_edited_out_of_the_secret_is_replaced(intact: tuple[Arena, Body]) -> None:
    """What somebody else wrote there is never declared to the platform."""
    arena, _ = intact
    forged = "cHlhX2ZvcmdlZF9rZXk="
    patch(arena.plane.api, f"{SPACE}/secrets/pyairtable-access", {"data": {"PYAIRTABLE_API_KEY": forged}})

    def replaced() -> bool:
        key = tenants.access_key(arena.plane.api, f"ws-{NAME}")
        told = {one.sha256 for one in arena.platform.state.keys[NAME].values()}
        return key not in ("pya_forged_key", "") and tenants.sha256(key) in told and arena.is_ready(NAME)

    eventually(replaced, what="a key of ours")
    told = {one.sha256 for one in arena.platform.state.keys[NAME].values()}
    assert tenants.sha256("pya_forged_key") not in told


def test_a_deleted_secret_is_a_new_key_and_the_old_one_ends(intact: tuple[Arena, Body]) -> None:
    arena, _ = intact
    old = tenants.access_key(arena.plane.api, f"ws-{NAME}")
    arena.plane.api.delete(f"{SPACE}/secrets/pyairtable-access").raise_for_status()

    def replaced() -> bool:
        key = tenants.access_key(arena.plane.api, f"ws-{NAME}")
        told = {one.sha256 for one in arena.platform.state.keys[NAME].values()}
        return bool(key) and key != old and told == {tenants.sha256(key)} and arena.is_ready(NAME)

    eventually(replaced, what="a new key, and only that")


def test_an_object_that_cannot_go_is_waited_for(intact: tuple[Arena, Body]) -> None:
    """A finalizer of somebody else's holds a deleted object: no hot loop, and a new one when it is gone."""
    arena, _ = intact
    before = arena.state(NAME)
    patch(arena.plane.api, OBJECTS["limits"], metadata(finalizers=["example.com/held"]))
    arena.plane.api.delete(OBJECTS["limits"]).raise_for_status()
    arena.proxy.reset()
    time.sleep(3)
    assert len(arena.writes(NAME)) <= 6, arena.writes(NAME)
    patch(arena.plane.api, OBJECTS["limits"], metadata(finalizers=None))
    converge(arena, NAME, before, "an object that was held")


def test_a_deleted_namespace_is_made_again(intact: tuple[Arena, Body]) -> None:
    """Everything in it is lost: another key, and all the rest as before."""
    arena, _ = intact
    operations.ready_before(arena, "homeless")
    expected = but_secret(arena.state("homeless"))
    key = tenants.access_key(arena.plane.api, "ws-homeless")
    arena.plane.api.delete("/api/v1/namespaces/ws-homeless").raise_for_status()

    def again() -> bool:
        found = but_secret(arena.state("homeless"))
        assert found == expected, operations.difference(found, expected)
        return tenants.access_key(arena.plane.api, "ws-homeless") not in (key, "")

    eventually(again, what="the namespace, and all in it")


def but_secret(state: Body) -> Body:
    return {name: one for name, one in state.items() if not name.startswith("Secret ")}


@pytest.mark.parametrize("seed", range(3))
def test_many_things_at_once_at_random(intact: tuple[Arena, Body], seed: int) -> None:
    arena, _ = intact
    expected = arena.state(NAME)
    chance = random.Random(seed)
    for _ in range(12):
        word = chance.choice(sorted(OBJECTS))
        if chance.random() < 0.4:
            arena.plane.api.delete(OBJECTS[word])
        else:
            body = orjson.dumps(MARKS[chance.choice(sorted(MARKS))])
            arena.plane.api.patch(OBJECTS[word], content=body, headers=MERGE)
        time.sleep(chance.random() * 0.05)
    converge(arena, NAME, expected, f"tampering with seed {seed}")
