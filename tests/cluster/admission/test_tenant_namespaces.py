"""Nobody takes a namespace by passing it off as a tenant's, and nobody frees a tenant's.

The cases follow Capsule's end-to-end list of namespace hijacks, with a Workspace in the place of its Tenant, and the
advisories on it: CVE-2024-39690 (patch of a namespace that nobody owns), GO-2025-3893 (the same by label),
CVE-2026-30963 and GO-2026-5406 (by subresource), GHSA-gjw4-3v3v-rqxg (forbidden metadata).
"""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes_kit.callers import ADMIN, Answer, Body, Caller, Requests
from kubernetes_kit.guarded import (
    ACME_ADMIN,
    NAMESPACE_ADMIN,
    OTHER_OWNER,
    OWNER,
    PLAIN,
    WORKSPACE_ADMIN,
    Guarded,
    namespace,
    policy_refused,
    tenant_namespace,
)

VICTIMS = ("kube-system", "default", "pyairtable-system", PLAIN, "ws-beta")
WAYS = ("merge", "steps", "apply", "replace", "status", "status merge", "finalize")
UID = "11111111-2222-3333-4444-555555555555"
TAKING: dict[str, Body] = {
    "label": {"labels": {"pyairtable.dev/workspace": "acme"}},
    "both labels": {
        "labels": {"pyairtable.dev/workspace": "acme", "app.kubernetes.io/managed-by": "pyairtable-operator"}
    },
    "uid": {"annotations": {"pyairtable.dev/workspace-uid": UID}},
    "adopted": {"annotations": {"pyairtable.dev/adopted": "true"}},
    "label and adoption": {
        "labels": {"pyairtable.dev/workspace": "acme"},
        "annotations": {"pyairtable.dev/adopt-by": "acme"},
    },
    "empty label": {"labels": {"pyairtable.dev/workspace": ""}},
    "label beside": {"labels": {"pyairtable.dev/anything": "x"}},
}
FREEING: dict[str, Body] = {
    "label": {"labels": {"pyairtable.dev/workspace": None}},
    "manager": {"labels": {"app.kubernetes.io/managed-by": None}},
    "other manager": {"labels": {"app.kubernetes.io/managed-by": "Helm"}},
    "uid": {"annotations": {"pyairtable.dev/workspace-uid": None}},
    "forged uid": {"annotations": {"pyairtable.dev/workspace-uid": UID}},
    "adoption": {"annotations": {"pyairtable.dev/adopt-by": "acme"}},
    "Pod Security off": {"labels": {"pod-security.kubernetes.io/enforce": None}},
    "Pod Security weaker": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
    "Pod Security older": {"labels": {"pod-security.kubernetes.io/enforce-version": "v1.0"}},
    "finalizer": {"finalizers": ["example.com/stuck"]},
    "owner": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "none", "uid": UID}]},
    "owner in our name": {
        "ownerReferences": [{"apiVersion": "pyairtable.dev/v1alpha1", "kind": "Workspace", "name": "acme", "uid": UID}]
    },
}


def attempt(requests: Requests, name: str, metadata: Body, way: str, caller: Caller) -> Answer:
    """Change a namespace's metadata in one of the ways that the API has."""
    whole = requests.get(namespace(name)).body
    merged = {**whole, "metadata": with_metadata(whole["metadata"], metadata)}
    if way == "merge":
        return requests.merge(whole, {"metadata": metadata}, caller)
    if way == "status merge":
        return requests.merge(whole, {"metadata": metadata}, caller, subresource="status")
    if way == "steps":
        steps = [
            {"op": "add", "path": f"/metadata/{part}", "value": merged["metadata"].get(part) or empty(metadata[part])}
            for part in metadata
        ]
        return requests.json_patch(whole, steps, caller)
    if way == "apply":
        given = {
            key: value for key, value in metadata.items() if not isinstance(value, dict) or None not in value.values()
        }
        return requests.apply({**namespace(name), "metadata": {"name": name, **given}}, caller)
    subresource = "" if way == "replace" else way
    return requests.replace(merged, caller, subresource=subresource)


def empty(value: Any) -> Any:
    """A map or list with nothing in it, of the type of the given one."""
    return type(value)()


def with_metadata(before: Body, patch: Body) -> Body:
    """metadata after a merge patch."""
    result = dict(before)
    for part, value in patch.items():
        if isinstance(value, dict):
            entries: dict[str, Any] = {**before.get(part, {}), **value}
            result[part] = {key: entry for key, entry in entries.items() if entry is not None}
        else:
            result[part] = value
    return result


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("taking", TAKING)
def test_no_namespace_is_passed_off_as_a_tenants(requests: Requests, taking: str, way: str) -> None:
    for name in VICTIMS:
        answer = attempt(requests, name, TAKING[taking], way, NAMESPACE_ADMIN)
        assert policy_refused(answer), (name, answer)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "apply"])
@pytest.mark.parametrize("freeing", FREEING)
def test_no_tenants_namespace_is_freed_or_weakened(requests: Requests, freeing: str, way: str) -> None:
    answer = attempt(requests, "ws-acme", FREEING[freeing], way, NAMESPACE_ADMIN)
    assert policy_refused(answer, "belongs to workspace 'acme'") or kept(requests, answer), answer


def kept(requests: Requests, answer: Answer) -> bool:
    """Whether the server accepted a request and left the metadata as they were (subresources ignore some fields)."""
    fields = ("labels", "annotations", "finalizers", "ownerReferences")
    before = requests.get(namespace("ws-acme")).body["metadata"]
    return answer.accepted and all(answer.body["metadata"].get(one) == before.get(one) for one in fields)


@pytest.mark.parametrize("caller", [OWNER, OTHER_OWNER], ids=["owner", "other owner"])
@pytest.mark.parametrize("way", WAYS)
def test_owners_have_no_right_on_namespaces_at_all(requests: Requests, way: str, caller: Caller) -> None:
    for name in (*VICTIMS, "ws-acme"):
        answer = attempt(requests, name, TAKING["label"], way, caller)
        assert answer.status == 403
    assert requests.create(namespace("mine"), caller).status == 403
    assert requests.delete(namespace("ws-acme"), caller).status == 403


def test_the_finalizer_of_a_tenants_namespace_stays(requests: Requests) -> None:
    body = requests.get(namespace("ws-acme")).body
    emptied = {**body, "spec": {"finalizers": []}}
    assert policy_refused(requests.replace(emptied, NAMESPACE_ADMIN, subresource="finalize"))
    assert requests.replace(
        {**requests.get(namespace(PLAIN)).body, "spec": {}}, NAMESPACE_ADMIN, subresource="finalize"
    ).accepted


def test_a_tenants_namespace_is_not_deleted_by_hand(requests: Requests) -> None:
    assert policy_refused(requests.delete(namespace("ws-acme"), NAMESPACE_ADMIN), "change or delete the Workspace")
    assert policy_refused(requests.delete(namespace("ws-beta"), ACME_ADMIN))
    assert requests.delete(namespace(PLAIN), NAMESPACE_ADMIN).accepted


@pytest.mark.parametrize("caller", [ACME_ADMIN, WORKSPACE_ADMIN, ADMIN], ids=["its admin", "workspace admin", "admin"])
def test_who_may_update_the_workspace_may_do_all_of_it(requests: Requests, caller: Caller) -> None:
    for freeing in ("label", "Pod Security weaker", "finalizer"):
        assert attempt(requests, "ws-acme", FREEING[freeing], "merge", caller).accepted
    assert requests.delete(namespace("ws-acme"), caller).accepted


def test_a_workspace_is_not_given_what_another_one_has(requests: Requests) -> None:
    """Who may update acme alone gets no namespace of beta's, and gives acme none of nobody's by its own label."""
    for way in WAYS:
        assert policy_refused(attempt(requests, "ws-beta", TAKING["label"], way, ACME_ADMIN)), way
    assert policy_refused(
        attempt(requests, "ws-acme", {"labels": {"pyairtable.dev/workspace": "beta"}}, "merge", ACME_ADMIN)
    )
    assert policy_refused(attempt(requests, PLAIN, TAKING["uid"], "merge", ACME_ADMIN))


def test_no_namespace_is_made_as_a_tenants(requests: Requests) -> None:
    forged = tenant_namespace("forged", "acme")
    for answer in (requests.create(forged, NAMESPACE_ADMIN), requests.apply(forged, NAMESPACE_ADMIN)):
        assert policy_refused(answer, "annotate it with pyairtable.dev/adopt-by")
    annotated = {
        **namespace("forged"),
        "metadata": {"name": "forged", "annotations": {"pyairtable.dev/workspace-uid": UID}},
    }
    assert policy_refused(requests.create(annotated, NAMESPACE_ADMIN))


@pytest.mark.parametrize("way", ["merge", "steps", "apply", "replace"])
def test_what_is_not_ours_is_free(guarded: Guarded, requests: Requests, way: str) -> None:
    assert guarded.managed
    labels = {**requests.get(namespace("ws-acme")).body["metadata"]["labels"], "team": "a"}
    for name, metadata in (
        ("ws-acme", {"labels": labels}),
        (
            "ws-acme",
            {"annotations": requests.get(namespace("ws-acme")).body["metadata"]["annotations"] | {"note": "b"}},
        ),
        (PLAIN, {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}),
    ):
        answer = attempt(requests, name, metadata, way, NAMESPACE_ADMIN)
        assert answer.accepted, (name, answer.message)


@pytest.mark.parametrize("way", ["merge", "steps", "apply", "replace", "status"])
def test_who_gives_a_namespace_to_a_workspace_speaks_for_both(guarded: Guarded, requests: Requests, way: str) -> None:
    """Else whoever makes namespaces lays one out for a workspace, and reads the access key that is put there."""
    assert guarded.managed
    gift: Body = {"annotations": {"pyairtable.dev/adopt-by": "acme"}}
    assert policy_refused(attempt(requests, PLAIN, gift, way, NAMESPACE_ADMIN), "may update the Workspace")
    answer = attempt(requests, PLAIN, gift, way, ACME_ADMIN)
    assert answer.accepted, answer.message


def test_nobody_lays_a_namespace_out_for_a_workspace_to_come(guarded: Guarded, requests: Requests) -> None:
    assert guarded.managed
    body = namespace("ws-to-come")
    squat = {**body, "metadata": {**body["metadata"], "annotations": {"pyairtable.dev/adopt-by": "to-come"}}}
    assert policy_refused(requests.create(squat, NAMESPACE_ADMIN), "may update the Workspace")
    assert policy_refused(requests.create(squat, ACME_ADMIN), "may update the Workspace")
    answer = requests.create(squat, WORKSPACE_ADMIN)
    assert answer.accepted, answer.message
