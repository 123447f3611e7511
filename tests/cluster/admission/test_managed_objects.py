"""What the operator made is changed by the operator, the cluster's controllers, and who may update the Workspace."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes_kit.callers import ADMIN, Answer, Body, Caller, Requests, collection
from kubernetes_kit.guarded import (
    ACME_ADMIN,
    APP,
    COLLECTOR,
    DEFAULT_ACCOUNT,
    NAMESPACE_ADMIN,
    OPERATOR,
    OTHER_OWNER,
    OWNER,
    PLAIN,
    VIEWER,
    WORKSPACE_ADMIN,
    Guarded,
    policy_refused,
)
from kubernetes_kit.wait import eventually

KINDS = (
    *("ResourceQuota", "LimitRange", "NetworkPolicy", "ServiceAccount", "Role", "RoleBinding", "Secret", "BaseBinding"),
    *("ClusterRole", "ClusterRoleBinding"),
)
OUTSIDERS = {
    "owner": OWNER,
    "other owner": OTHER_OWNER,
    "default account": DEFAULT_ACCOUNT,
    "app account": APP,
    "viewer": VIEWER,
    "namespace admin": NAMESPACE_ADMIN,
}
TRUSTED = {"operator": OPERATOR, "administrator": ADMIN, "workspace admin": WORKSPACE_ADMIN, "its admin": ACME_ADMIN}
UNMARK = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None, "pyairtable.dev/workspace": None}}}
CHANGES = ("label", "unmark", "unmark by steps", "apply", "replace", "disown", "finalizer", "delete")


def change(requests: Requests, body: Body, how: str, caller: Caller) -> Answer:
    """One way to change or remove an object."""
    if how == "apply":
        return requests.apply(body_with(body, labels={**body["metadata"]["labels"], "stolen": "yes"}), caller)
    if how == "replace":
        return requests.replace(body_with(requests.get(body).body, annotations={"stolen": "yes"}), caller)
    if how == "unmark by steps":
        return requests.json_patch(body, [{"op": "remove", "path": "/metadata/labels"}], caller)
    if how == "delete":
        return requests.delete(body, caller)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "00000000-0000-0000-0000-000000000000"}
    patches: dict[str, Body] = {
        "label": {"metadata": {"labels": {"stolen": "yes"}}},
        "unmark": UNMARK,
        "disown": {"metadata": {"ownerReferences": [owner]}},
        "finalizer": {"metadata": {"finalizers": ["example.com/stuck"]}},
    }
    return requests.merge(body, patches[how], caller)


def body_with(body: Body, **metadata: Any) -> Body:
    return {**body, "metadata": {**body["metadata"], **metadata}}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("who", OUTSIDERS)
def test_outsiders_change_nothing(guarded: Guarded, requests: Requests, who: str, kind: str) -> None:
    for body in (one for one in guarded.managed["acme"] if one["kind"] == kind):
        for how in CHANGES:
            answer = change(requests, body, how, OUTSIDERS[who])
            assert answer.status == 403, (how, body["metadata"]["name"], answer)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_policy_that_stops_who_has_every_right(guarded: Guarded, requests: Requests, kind: str) -> None:
    for how in CHANGES:
        assert policy_refused(change(requests, guarded.only("acme", kind), how, NAMESPACE_ADMIN)), how


@pytest.mark.parametrize("kind", ["NetworkPolicy", "Role", "RoleBinding", "ServiceAccount", "BaseBinding"])
def test_owners_are_told_whom_to_ask(guarded: Guarded, requests: Requests, kind: str) -> None:
    """Owners have every right on these kinds in their namespace."""
    answer = change(requests, guarded.only("acme", kind), "delete", OWNER)
    assert policy_refused(answer, "workspace 'acme'", "ask who may update that Workspace")


def test_owners_are_told_how_to_get_a_new_key(guarded: Guarded, requests: Requests) -> None:
    answer = requests.delete(guarded.only("acme", "Secret"), OWNER)
    assert policy_refused(answer, "pyairtable.dev/rotate-access-key")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("who", TRUSTED)
def test_the_operator_and_who_may_update_the_workspace_change_it(
    guarded: Guarded, requests: Requests, who: str, kind: str
) -> None:
    for how in ("label", "delete"):
        answer = change(requests, guarded.only("acme", kind), how, TRUSTED[who])
        assert answer.accepted or (kind.startswith("ClusterRole") and who == "operator"), (how, answer.message)


@pytest.mark.parametrize("kind", KINDS)
def test_who_may_update_one_workspace_changes_nothing_of_another(
    guarded: Guarded, requests: Requests, kind: str
) -> None:
    for how in CHANGES:
        assert policy_refused(change(requests, guarded.only("beta", kind), how, ACME_ADMIN)), how


@pytest.mark.parametrize("kind", ["ResourceQuota", "NetworkPolicy", "Role", "Secret"])
def test_who_may_update_two_workspaces_may_not_be_one_of_them_only(
    guarded: Guarded, requests: Requests, kind: str
) -> None:
    """Moving an object of acme over to beta needs both."""
    patch = {"metadata": {"labels": {"pyairtable.dev/workspace": "beta"}}}
    assert policy_refused(requests.merge(guarded.only("acme", kind), patch, ACME_ADMIN))
    assert requests.merge(guarded.only("acme", kind), patch, WORKSPACE_ADMIN).accepted


def test_controllers_of_the_cluster_do_their_work(guarded: Guarded, requests: Requests) -> None:
    quota = guarded.only("acme", "ResourceQuota")
    assert requests.delete(quota, COLLECTOR).accepted
    for caller in (Caller("system:apiserver", ("system:masters",)), Caller("system:kube-controller-manager")):
        answer = requests.merge(quota, {"status": {"used": {"pods": "1"}}}, caller, subresource="status")
        assert "ValidatingAdmissionPolicy" not in answer.message


def test_the_quota_is_counted(guarded: Guarded, requests: Requests) -> None:
    """The server itself writes resourcequotas/status when a pod is admitted."""
    quota = guarded.only("acme", "ResourceQuota")
    assert eventually(lambda: requests.get(quota).body.get("status", {}).get("used", {}).get("pods") == "0")


@pytest.mark.parametrize("kind", ["NetworkPolicy", "Role", "RoleBinding", "ServiceAccount", "Secret", "BaseBinding"])
def test_owners_do_not_delete_a_kind_as_a_whole(guarded: Guarded, requests: Requests, kind: str) -> None:
    path = collection(kind, "ws-acme")
    answer = requests.send("DELETE", path, OWNER, None, real=False)
    assert policy_refused(answer)


@pytest.mark.parametrize("who", ["owner", "namespace admin"])
@pytest.mark.parametrize("kind", ["ConfigMap", "Secret", "ServiceAccount", "NetworkPolicy", "Role"])
def test_nobody_marks_an_object_as_the_operators(requests: Requests, guarded: Guarded, who: str, kind: str) -> None:
    assert guarded.managed
    labels = {"app.kubernetes.io/managed-by": "pyairtable-operator", "pyairtable.dev/workspace": "acme"}
    body = plain(kind, "forged", labels=labels)
    for answer in (requests.create(body, OUTSIDERS[who]), requests.apply(body, OUTSIDERS[who])):
        assert policy_refused(answer, "leave out one of them")
    for label in labels:
        assert requests.create(plain(kind, "half", labels={label: labels[label]}), OUTSIDERS[who]).accepted


def test_nobody_marks_an_object_elsewhere(requests: Requests) -> None:
    labels = {"app.kubernetes.io/managed-by": "pyairtable-operator", "pyairtable.dev/workspace": ""}
    for inside in (PLAIN, "kube-system", "ws-beta"):
        body = plain("ConfigMap", "forged", labels=labels, namespace=inside)
        assert policy_refused(requests.create(body, NAMESPACE_ADMIN))
        assert policy_refused(requests.create(body, ACME_ADMIN))


def test_the_access_secret_is_known_by_its_name(requests: Requests) -> None:
    body = plain("Secret", "pyairtable-access")
    for caller in (OWNER, NAMESPACE_ADMIN):
        for answer in (
            requests.replace(body, caller),
            requests.apply(body, caller),
            requests.create(body, caller),
            requests.delete(body, caller),
        ):
            assert policy_refused(answer)
    assert requests.create(plain("Secret", "own"), OWNER).accepted
    assert requests.create(plain("Secret", "pyairtable-access", namespace=PLAIN), NAMESPACE_ADMIN).accepted


def plain(kind: str, name: str, **metadata: Any) -> Body:
    """The least object of a kind, in acme's namespace."""
    version = {"NetworkPolicy": "networking.k8s.io/v1", "Role": "rbac.authorization.k8s.io/v1"}.get(kind, "v1")
    body: Body = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "ws-acme", **metadata}}
    return {**body, "spec": {"podSelector": {}}} if kind == "NetworkPolicy" else body
