"""What owners may make themselves: bindings of bases that are theirs, policies that open nothing, plain Services."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes_kit.callers import ADMIN, Answer, Body, Caller, Requests
from kubernetes_kit.guarded import (
    ACME_ADMIN,
    ACME_BASE,
    BETA_BASE,
    NAMESPACE_ADMIN,
    OPERATOR,
    OTHER_OWNER,
    OWNER,
    PLAIN,
    SHARED_BASE,
    TENANT_BASE,
    Guarded,
    policy_refused,
)
from kubernetes_kit.wait import eventually
from kubernetes_kit.workspace_cases import base_id


def binding(base: str = TENANT_BASE, *, name: str = "own", namespace: str = "ws-acme", **spec: Any) -> Body:
    return {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "BaseBinding",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"baseId": base, **spec},
    }


def test_owners_bind_the_bases_left_to_them(requests: Requests) -> None:
    for base in (TENANT_BASE, SHARED_BASE):
        assert requests.create(binding(base), OWNER).accepted
        assert requests.apply(binding(base), OWNER).accepted
    assert requests.create(binding(SHARED_BASE, namespace="ws-beta"), OTHER_OWNER).accepted


EVERYBODY = {"owner": OWNER, "namespace admin": NAMESPACE_ADMIN, "its admin": ACME_ADMIN, "administrator": ADMIN}


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize("base", [base_id(99), BETA_BASE, ACME_BASE], ids=["not listed", "another's", "its own"])
def test_other_bases_are_refused_whoever_asks(requests: Requests, base: str, who: str) -> None:
    for answer in writes(requests, binding(base), EVERYBODY[who]):
        assert policy_refused(answer)


def test_the_sentence_names_the_remedy(requests: Requests) -> None:
    unlisted = requests.create(binding(base_id(99)), OWNER)
    assert policy_refused(unlisted, "not among spec.airtable.tenantBases of the Workspace 'acme'", "ask who may update")
    assert policy_refused(requests.create(binding(ACME_BASE), OWNER), "bound by the Workspace 'acme' itself")


def test_a_name_of_the_workspace_is_not_taken_before_the_operator_uses_it(guarded: Guarded, requests: Requests) -> None:
    made = guarded.only("acme", "BaseBinding", "crm")
    assert requests.delete(made, real=True).accepted
    try:
        for answer in writes(requests, binding(name="crm"), OWNER):
            assert policy_refused(answer, "has a base of the name 'crm' already; choose another name")
    finally:
        assert requests.apply(made, OPERATOR, manager="pyairtable-operator", real=True).accepted


def test_a_base_that_is_taken_from_another_is_refused_though_it_is_listed(requests: Requests) -> None:
    """Two Workspaces, one declares what the other lists for its tenant: declared wins."""
    made = {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "Workspace",
        "metadata": {"name": "gamma"},
        "spec": {"airtable": {"bases": [{"name": "g", "baseId": TENANT_BASE}]}},
    }
    assert requests.create(made, real=True).accepted
    try:
        eventually(lambda: not requests.create(binding(TENANT_BASE), OWNER).accepted, what="the policy to see gamma")
        answer = requests.create(binding(TENANT_BASE), OWNER)
        assert policy_refused(answer, "declared by another workspace")
        assert "gamma" not in answer.message
    finally:
        requests.delete(made, real=True)
        eventually(lambda: requests.create(binding(TENANT_BASE), OWNER).accepted, what="the end of gamma")


def test_a_namespace_of_nobody_has_no_bindings(requests: Requests) -> None:
    assert policy_refused(requests.create(binding(namespace=PLAIN), NAMESPACE_ADMIN), "belongs to no workspace")
    assert policy_refused(requests.create(binding(namespace="kube-system")), "belongs to no workspace")


def test_the_operator_is_not_held_to_it(requests: Requests) -> None:
    assert requests.apply(binding(base_id(98)), OPERATOR).accepted


def test_an_own_binding_is_changed_and_checked_again(requests: Requests) -> None:
    body = binding(TENANT_BASE, name="mine")
    assert requests.create(body, OWNER, real=True).accepted
    try:
        assert requests.merge(body, {"spec": {"access": "ReadOnly"}}, OWNER).accepted
        assert requests.merge(
            body, {"metadata": {"annotations": {"pyairtable.dev/accept-schema": "true"}}}, OWNER
        ).accepted
        assert requests.delete(body, OWNER).accepted
        status = {"status": {"permissionLevel": "create"}}
        assert requests.merge(body, status, OWNER, subresource="status").status == 403
        assert policy_refused(requests.merge(body, status, NAMESPACE_ADMIN, subresource="status"), "change the spec")
        assert requests.merge(body, status, ACME_ADMIN, subresource="status").accepted
        assert requests.merge(body, status, OPERATOR, subresource="status").accepted
    finally:
        requests.delete(body, real=True)


def test_the_status_of_a_workspace_is_the_operators(guarded: Guarded, requests: Requests) -> None:
    assert guarded.managed
    body = {"kind": "Workspace", "metadata": {"name": "acme"}}
    status = {"status": {"phase": "Ready"}}
    assert policy_refused(requests.merge(body, status, NAMESPACE_ADMIN, subresource="status"))
    assert requests.merge(body, status, OPERATOR, subresource="status").accepted
    assert requests.merge(body, status, ADMIN, subresource="status").accepted


def policy(name: str = "own", namespace: str = "ws-acme", **spec: Any) -> Body:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": {}, **spec},
    }


CLOSED = [
    policy(),
    policy(policyTypes=["Ingress", "Egress"]),
    policy(egress=[]),
    policy(ingress=[{"from": [{"podSelector": {}}]}]),
]
OPEN = [
    policy(egress=[{}]),
    policy(policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]),
    policy(policyTypes=["Ingress"], egress=[{"to": [{"podSelector": {}}]}]),
    policy(egress=[{"ports": [{"port": 443}]}]),
]


@pytest.mark.parametrize("body", CLOSED, ids=lambda body: str(body["spec"]))
def test_policies_that_open_no_egress_are_the_owners(requests: Requests, body: Body) -> None:
    for answer in writes(requests, body, OWNER):
        assert answer.accepted, answer.message


@pytest.mark.parametrize("body", OPEN, ids=lambda body: str(body["spec"]))
def test_no_egress_is_opened(requests: Requests, body: Body) -> None:
    for caller in (OWNER, NAMESPACE_ADMIN):
        for answer in writes(requests, body, caller):
            assert policy_refused(answer, "may not allow egress", "remove spec.egress")
    assert all(answer.accepted for answer in writes(requests, body, ACME_ADMIN))
    elsewhere = policy(
        namespace=PLAIN, **{name: value for name, value in body["spec"].items() if name != "podSelector"}
    )
    assert requests.create(elsewhere, NAMESPACE_ADMIN).accepted


def test_egress_is_not_opened_by_a_change(requests: Requests) -> None:
    body = policy("later")
    assert requests.create(body, OWNER, real=True).accepted
    try:
        assert policy_refused(requests.merge(body, {"spec": {"egress": [{}]}}, OWNER))
        assert policy_refused(requests.json_patch(body, [{"op": "add", "path": "/spec/egress", "value": [{}]}], OWNER))
        assert requests.merge(body, {"metadata": {"labels": {"a": "b"}}}, OWNER).accepted
    finally:
        requests.delete(body, real=True)


def service(namespace: str = "ws-acme", **spec: Any) -> Body:
    ports = [{"port": 80}]
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": namespace}}
    return {**body, "spec": {"ports": ports, **spec}}


@pytest.mark.parametrize("spec", [{}, {"type": "ClusterIP"}, {"clusterIP": "None"}], ids=str)
def test_plain_services_are_the_owners(requests: Requests, spec: Body) -> None:
    for answer in writes(requests, service(**spec), OWNER):
        assert answer.accepted, answer.message


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"type": "NodePort"}, "use type ClusterIP"),
        ({"type": "LoadBalancer"}, "use type ClusterIP"),
        ({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}, "use type ClusterIP"),
        ({"externalIPs": ["203.0.113.7"]}, "spec.externalIPs can take traffic"),
    ],
    ids=str,
)
def test_services_open_nothing_of_the_cluster(requests: Requests, spec: Body, says: str) -> None:
    for caller in (OWNER, NAMESPACE_ADMIN):
        for answer in writes(requests, service(**spec), caller):
            assert policy_refused(answer, says)
    assert requests.create(service(**spec), ACME_ADMIN).accepted
    assert requests.create(service(PLAIN, **spec), NAMESPACE_ADMIN).accepted


def test_a_service_is_not_opened_by_a_change(requests: Requests) -> None:
    body = service()
    assert requests.create(body, OWNER, real=True).accepted
    try:
        assert policy_refused(requests.merge(body, {"spec": {"type": "NodePort"}}, OWNER))
        assert policy_refused(requests.merge(body, {"spec": {"externalIPs": ["203.0.113.7"]}}, OWNER))
        status = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}}
        assert not requests.merge(body, status, OWNER, subresource="status").accepted
    finally:
        requests.delete(body, real=True)


def writes(requests: Requests, body: Body, caller: Caller) -> list[Answer]:
    """Both ways to make an object."""
    return [requests.create(body, caller), requests.apply(body, caller)]
