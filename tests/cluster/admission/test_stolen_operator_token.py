"""What somebody can do with the operator's token, even if RBAC gave it everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes_kit.callers import Body, Requests
from kubernetes_kit.guarded import (
    OPERATOR,
    OWNER,
    PLAIN,
    SYSTEM,
    Guarded,
    account,
    namespace,
    policy_refused,
    rule,
    tenant_namespace,
)
from kubernetes_kit.wait import eventually

RBAC = "rbac.authorization.k8s.io"
ELSEWHERE = ("kube-system", "default", SYSTEM, "pyairtable-credentials", PLAIN)


@pytest.fixture(scope="module", autouse=True)
def all_rights(guarded: Guarded) -> Iterator[None]:
    """RBAC holds the operator back in nothing: what does is the policy."""
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "try-stolen"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "pyairtable-operator", "namespace": SYSTEM}],
    }
    assert guarded.requests.create(binding, real=True).accepted
    probe = least("ConfigMap", "v1", PLAIN)
    eventually(lambda: policy_refused(guarded.requests.create(probe, OPERATOR)), what="the rights")
    yield
    guarded.requests.delete(binding, real=True)


def secret(inside: str, name: str = "pyairtable-access", **fields: Any) -> Body:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": inside}, **fields}


def role(inside: str, name: str = "pyairtable-owner") -> Body:
    body = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": name, "namespace": inside}}
    return {**body, "rules": [rule(["*"], ["*"], ["*"])]}


def role_binding(inside: str, kind: str = "Role", name: str = "pyairtable-owner") -> Body:
    body = {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": {"name": "b", "namespace": inside}}
    return {**body, "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name}, "subjects": []}


def least(kind: str, version: str, inside: str, **content: Any) -> Body:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "pyairtable", "namespace": inside}, **content}


@pytest.mark.parametrize("inside", ELSEWHERE)
def test_nothing_is_planted_outside_of_tenants_namespaces(requests: Requests, inside: str) -> None:
    planted = [
        secret(inside),
        role(inside),
        role_binding(inside),
        account(inside, "planted"),
        least("ResourceQuota", "v1", inside, spec={"hard": {"pods": "0"}}),
        least("LimitRange", "v1", inside, spec={"limits": []}),
        least("NetworkPolicy", "networking.k8s.io/v1", inside, spec={"podSelector": {}}),
        least("ConfigMap", "v1", inside),
        least("BaseBinding", "pyairtable.dev/v1alpha1", inside, spec={"baseId": "app" + "A" * 14}),
    ]
    for body in planted:
        for answer in (requests.create(body, OPERATOR), requests.apply(body, OPERATOR)):
            assert policy_refused(answer), (body["kind"], answer)


def test_a_token_of_another_account_is_not_made_by_a_secret(requests: Requests) -> None:
    annotations = {"kubernetes.io/service-account.name": "default"}
    for inside in ("kube-system", "ws-acme"):
        body = secret(inside, type="kubernetes.io/service-account-token")
        body["metadata"]["annotations"] = annotations
        assert policy_refused(requests.create(body, OPERATOR))
        body["metadata"]["name"] = "planted"
        assert policy_refused(requests.create(body, OPERATOR))
    body = secret("ws-acme", type="kubernetes.io/basic-auth", stringData={"username": "a"})
    assert policy_refused(requests.create(body, OPERATOR), "of type Opaque")
    assert policy_refused(requests.create(secret("ws-acme", "other"), OPERATOR), "no Secret but pyairtable-access")


def test_no_token_is_asked_for(requests: Requests) -> None:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    for inside in ("kube-system", "ws-acme"):
        path = f"/api/v1/namespaces/{inside}/serviceaccounts/default/token"
        answer = requests.send("POST", path, OPERATOR, body, real=False)
        assert policy_refused(answer)


def test_no_secret_of_a_tenant_is_deleted_or_changed(requests: Requests) -> None:
    body = secret("ws-acme", "theirs")
    assert requests.create(body, OWNER, real=True).accepted
    try:
        assert policy_refused(requests.delete(body, OPERATOR))
        assert policy_refused(requests.merge(body, {"data": {"a": "Yg=="}}, OPERATOR))
    finally:
        requests.delete(body, real=True)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_no_namespace_is_taken_that_was_not_given(requests: Requests, name: str) -> None:
    label = {"metadata": {"labels": {"pyairtable.dev/workspace": "acme"}}}
    gift = {"metadata": {**label["metadata"], "annotations": {"pyairtable.dev/adopt-by": "acme"}}}
    weaken = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    for patch in (label, gift, weaken):
        assert policy_refused(requests.merge(namespace(name), patch, OPERATOR))
        assert policy_refused(requests.merge(namespace(name), patch, OPERATOR, subresource="status"))
    assert requests.delete(namespace(name), OPERATOR).status == 403


def test_a_namespace_that_is_given_is_taken_for_that_workspace_only(requests: Requests) -> None:
    given = {**namespace("given"), "metadata": {"name": "given", "annotations": {"pyairtable.dev/adopt-by": "acme"}}}
    assert requests.create(given, real=True).accepted
    try:
        for workspace, accepted in (("acme", True), ("beta", False)):
            patch = {"metadata": {"labels": {"pyairtable.dev/workspace": workspace}}}
            assert requests.merge(given, patch, OPERATOR).accepted == accepted
        assert policy_refused(requests.merge(given, {"metadata": {"labels": {"a": "b"}}}, OPERATOR))
        assert policy_refused(requests.delete(given, OPERATOR))
    finally:
        requests.delete(given, real=True)


def test_the_clusters_namespaces_are_not_taken_though_they_are_given(requests: Requests) -> None:
    patch = {"metadata": {"annotations": {"pyairtable.dev/adopt-by": "acme"}}}
    assert requests.merge(namespace("default"), patch, real=True).accepted
    try:
        label = {"metadata": {"labels": {"pyairtable.dev/workspace": "acme"}}}
        assert policy_refused(requests.merge(namespace("default"), label, OPERATOR), "can be no tenant's")
    finally:
        undo = {"metadata": {"annotations": {"pyairtable.dev/adopt-by": None}}}
        requests.merge(namespace("default"), undo, real=True)


def test_namespaces_are_made_as_tenants_only(requests: Requests) -> None:
    assert requests.create(tenant_namespace("ws-new", "acme"), OPERATOR).accepted
    assert policy_refused(requests.create(namespace("ws-new"), OPERATOR))
    assert policy_refused(requests.create(tenant_namespace("kube-new", "acme"), OPERATOR))


def test_an_adopted_namespace_outlives_its_workspace(requests: Requests) -> None:
    body = namespace("ws-acme")
    annotate = {"metadata": {"annotations": {"pyairtable.dev/adopted": "true"}}}
    assert requests.delete(body, OPERATOR).accepted
    assert requests.merge(body, annotate, real=True).accepted
    try:
        assert policy_refused(requests.delete(body, OPERATOR), "delete it yourself")
        assert requests.merge(body, {"metadata": {"labels": {"pyairtable.dev/workspace": None}}}, OPERATOR).accepted
    finally:
        undo = {"metadata": {"annotations": {"pyairtable.dev/adopted": None}}}
        assert requests.merge(body, undo, real=True).accepted


def cluster_role(name: str, *rules: Body, **fields: Any) -> Body:
    body = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": list(rules)}
    return {**body, **fields}


OWN = {**rule(["pyairtable.dev"], ["workspaces"], ["get"]), "resourceNames": ["new"]}


@pytest.mark.parametrize(
    "body",
    [
        cluster_role("planted", OWN),
        cluster_role("pyairtable:workspace:new", rule(["*"], ["*"], ["*"])),
        cluster_role("pyairtable:workspace:new", {**OWN, "resourceNames": ["beta"]}),
        cluster_role("pyairtable:workspace:new", {**OWN, "resourceNames": []}),
        cluster_role("pyairtable:workspace:new", {**OWN, "resourceNames": ["new", "beta"]}),
        cluster_role("pyairtable:workspace:new", {**OWN, "verbs": ["get", "patch"]}),
        cluster_role("pyairtable:workspace:new", {**OWN, "resources": ["workspaces", "basebindings"]}),
        cluster_role("pyairtable:workspace:new", OWN, rule([""], ["secrets"], ["get"])),
        cluster_role("pyairtable:workspace:new", {"nonResourceURLs": ["*"], "verbs": ["get"]}),
        cluster_role("pyairtable:workspace:new", OWN, aggregationRule={"clusterRoleSelectors": [{}]}),
    ],
    ids=lambda body: str(body["rules"])[:80],
)
def test_nobody_is_granted_more_than_to_read_his_workspace(requests: Requests, body: Body) -> None:
    for answer in (requests.create(body, OPERATOR), requests.apply(body, OPERATOR)):
        assert policy_refused(answer)


def test_cluster_roles_of_others_are_left_alone(requests: Requests) -> None:
    for name in ("view", "cluster-admin"):
        assert policy_refused(requests.delete(cluster_role(name), OPERATOR))
        assert policy_refused(requests.merge(cluster_role(name), {"metadata": {"labels": {"a": "b"}}}, OPERATOR))
    assert requests.create(cluster_role("pyairtable:workspace:new", OWN), OPERATOR).accepted


def test_bindings_are_to_the_owners_roles_only(requests: Requests) -> None:
    cluster = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "pyairtable:workspace:new"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
    }
    assert policy_refused(requests.create(cluster, OPERATOR))
    own = {**cluster, "roleRef": {**cluster["roleRef"], "name": "pyairtable:workspace:new"}}  # type: ignore[dict-item]
    assert requests.create(own, OPERATOR).accepted
    assert policy_refused(requests.create(role_binding("ws-acme", "ClusterRole", "cluster-admin"), OPERATOR))
    assert policy_refused(requests.create(role_binding("ws-acme", "Role", "other"), OPERATOR))
    assert requests.create(role_binding("ws-acme"), OPERATOR).accepted


def test_what_a_workspace_declares_is_not_changed(requests: Requests) -> None:
    body = {"apiVersion": "pyairtable.dev/v1alpha1", "kind": "Workspace", "metadata": {"name": "acme"}}
    assert policy_refused(requests.merge(body, {"spec": {"suspend": True}}, OPERATOR))
    assert policy_refused(requests.merge(body, {"spec": {"owners": []}}, OPERATOR))
    assert policy_refused(requests.create({**body, "metadata": {"name": "new"}}, OPERATOR))
    assert policy_refused(requests.delete(body, OPERATOR))
    assert requests.merge(body, {"metadata": {"finalizers": ["pyairtable.dev/workspace"]}}, OPERATOR).accepted


def test_no_pod_is_made(requests: Requests) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ws-acme"}}
    image = {"name": "c", "image": "example.com/c", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
    context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {
        **image,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    body = {**pod, "spec": {"containers": [container], "securityContext": context}}
    assert policy_refused(requests.create(body, OPERATOR), "no ConfigMaps and no pods")
