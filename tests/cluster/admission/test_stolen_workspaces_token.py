"""What somebody can do with the workspace service's token, even if RBAC gave it everything of pyairtable.dev."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes_kit.callers import Body, Requests
from kubernetes_kit.guarded import ACME, SYSTEM, WORKSPACES, Guarded, policy_refused
from kubernetes_kit.wait import eventually
from kubernetes_kit.workspace_cases import base, base_id

RBAC = "rbac.authorization.k8s.io"
MANAGER = "pyairtable-api"
OF_API = {"app.kubernetes.io/managed-by": MANAGER}
MADE_FOR = {"pyairtable.dev/made-for": "00000000-0000-4000-8000-000000000001"}


def made(name: str = "called", spec: Body | None = None, **metadata: Any) -> Body:
    """A Workspace as the service sends it."""
    return {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "Workspace",
        "metadata": {"name": name, "labels": OF_API, "annotations": MADE_FOR, **metadata},
        "spec": {"displayName": "Called", **(spec or {})},
    }


@pytest.fixture(scope="module", autouse=True)
def all_rights(guarded: Guarded) -> Iterator[None]:
    """RBAC holds the service back in nothing: what does is the policy."""
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "try-stolen-workspaces"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "pyairtable-workspaces", "namespace": SYSTEM}],
    }
    assert guarded.requests.create(binding, real=True).accepted
    probe = {**made("status"), "metadata": {"name": "status"}}
    eventually(lambda: policy_refused(guarded.requests.create(probe, WORKSPACES)), what="the rights")
    yield
    guarded.requests.delete(binding, real=True)


@pytest.fixture
def called(requests: Requests) -> Iterator[Body]:
    """A Workspace that the service made, to which a platform engineer gave a credential and an owner."""
    body = made()
    assert requests.create(body, WORKSPACES, real=True).accepted
    given: Body = {"spec": {"airtable": {"tokenSecretRef": {"name": "called-airtable"}, "tenantBases": [base_id(10)]}}}
    given["spec"]["owners"] = [{"kind": "User", "name": "ada@acme.example"}]
    assert requests.merge(body, given, real=True).accepted
    yield body
    requests.delete(body, real=True)


def test_what_calls_can_set_is_made_changed_and_deleted(requests: Requests, called: Body) -> None:
    spec = {
        "displayName": "New",
        "suspend": True,
        "airtable": {"monthlyCallBudget": 5, "bases": [base(7, name="crm", access="ReadOnly", default=True)]},
        "llm": {"model": "any", "monthlyCostLimit": "1", "approval": "Writes"},
    }
    answer = requests.apply(made(spec=spec), WORKSPACES, manager=MANAGER)
    assert answer.accepted, answer.message
    assert answer.body["spec"]["airtable"]["tokenSecretRef"]["name"] == "called-airtable"
    assert requests.merge(called, {"metadata": {"labels": {"team": "data"}}}, WORKSPACES).accepted
    assert requests.delete(called, WORKSPACES).accepted


def test_what_others_declared_is_left_alone(requests: Requests) -> None:
    for label in ({}, {"app.kubernetes.io/managed-by": "pyairtable-operator"}):
        body = {**made("another"), "metadata": {"name": "another", "labels": label}}
        assert policy_refused(requests.create(body, WORKSPACES))
    for patch in ({"spec": {"suspend": True}}, {"metadata": {"labels": OF_API}}):
        assert policy_refused(requests.merge(ACME, patch, WORKSPACES), "change this one with kubectl")
    assert policy_refused(requests.apply(made("acme"), WORKSPACES, manager=MANAGER))
    assert policy_refused(requests.delete(ACME, WORKSPACES), "change this one with kubectl")


def test_its_own_is_not_given_away(requests: Requests, called: Body) -> None:
    for other in (None, "Helm"):
        patch = {"metadata": {"labels": {"app.kubernetes.io/managed-by": other}}}
        assert policy_refused(requests.merge(called, patch, WORKSPACES))


SECRET = {"name": "acme-airtable", "key": "token"}
SET_BY_PEOPLE: dict[str, Body] = {
    "owners": {"owners": [{"kind": "User", "name": "eve@evil.example"}]},
    "room in a namespace": {"namespace": {"quota": {"pods": "500"}}},
    "weak pods": {"namespace": {"podSecurity": "privileged"}},
    "a token": {"airtable": {"tokenSecretRef": SECRET}},
    "bases for tenants": {"airtable": {"tenantBases": [base_id(11)]}},
    "a model key": {"llm": {"apiKeySecretRef": SECRET}},
    "an access key": {"accessKey": {"overlapSeconds": 60}},
    "the end of a namespace": {"deletionPolicy": "Delete"},
}


@pytest.mark.parametrize("what", SET_BY_PEOPLE)
def test_what_people_set_is_not_set_by_the_service(requests: Requests, called: Body, what: str) -> None:
    spec = SET_BY_PEOPLE[what]
    created = requests.create(made("more", spec), WORKSPACES)
    assert policy_refused(created, "are set with kubectl"), created
    changed = requests.merge(called, {"spec": spec}, WORKSPACES)
    assert policy_refused(changed, "are set with kubectl"), changed


def test_no_namespace_is_taken(requests: Requests) -> None:
    assert policy_refused(requests.create(made("more", {"namespace": {"name": "nobodys"}}), WORKSPACES))


@pytest.mark.parametrize("name", ["force-delete", "rotate-access-key", "plan", "adopt-by", "made-for"])
def test_annotations_that_the_operator_obeys_are_not_set(requests: Requests, called: Body, name: str) -> None:
    patch = {"metadata": {"annotations": {f"pyairtable.dev/{name}": "true"}}}
    assert policy_refused(requests.merge(called, patch, WORKSPACES), "annotations under pyairtable.dev/")
    if name != "made-for":
        body = made("more", annotations={**MADE_FOR, f"pyairtable.dev/{name}": "true"})
        assert policy_refused(requests.create(body, WORKSPACES), "annotations under pyairtable.dev/")
    gone = {"metadata": {"annotations": {"pyairtable.dev/made-for": None}}}
    assert policy_refused(requests.merge(called, gone, WORKSPACES))


def test_the_operators_finalizer_stays(requests: Requests, called: Body) -> None:
    finalizers: Body = {"metadata": {"finalizers": ["pyairtable.dev/finalizer"]}}
    assert policy_refused(requests.merge(called, finalizers, WORKSPACES), "finalizers")
    assert policy_refused(
        requests.create(made("more", finalizers=finalizers["metadata"]["finalizers"]), WORKSPACES), "finalizers"
    )
    assert requests.merge(called, finalizers, real=True).accepted
    try:
        assert policy_refused(requests.merge(called, {"metadata": {"finalizers": []}}, WORKSPACES), "finalizers")
        assert requests.merge(called, {"spec": {"suspend": True}}, WORKSPACES).accepted
    finally:
        requests.merge(called, {"metadata": {"finalizers": []}}, real=True)


def test_nothing_is_reported_and_no_base_is_bound(requests: Requests, called: Body) -> None:
    status = {"status": {"observedGeneration": 1}}
    assert policy_refused(requests.merge(called, status, WORKSPACES, subresource="status"), "nothing else")
    binding = {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "BaseBinding",
        "metadata": {"name": "planted", "namespace": "ws-acme", "labels": OF_API},
        "spec": {"baseId": base_id(10)},
    }
    assert policy_refused(requests.create(binding, WORKSPACES), "nothing else")
