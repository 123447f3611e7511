"""Managed objects: whatever happens to one of them, it is put back; another applier is reported and not fought."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes_kit.operator_process import OperatorProcess
from kubernetes_kit.tenant import Tenant

OBJECTS = [
    ("ResourceQuota", "pyairtable"),
    ("LimitRange", "pyairtable"),
    ("NetworkPolicy", "pyairtable-default-deny"),
    ("NetworkPolicy", "pyairtable-allow-dns"),
    ("NetworkPolicy", "pyairtable-allow-platform"),
    ("ServiceAccount", "pyairtable-app"),
    ("Role", "pyairtable-owner"),
    ("RoleBinding", "pyairtable-owners"),
    ("Secret", "pyairtable-access"),
    ("BaseBinding", "crm"),
    ("ClusterRole", "pyairtable:workspace:{0}"),
    ("ClusterRoleBinding", "pyairtable:workspace:{0}"),
]


def test_every_deleted_object_comes_back(tenant: Tenant) -> None:
    tenant.create()
    tenant.wait()
    before = {key: tenant.get(*key)["metadata"]["uid"] for key in _named(tenant)}
    for key in before:
        tenant.remove(*key)
    tenant.until(lambda: all(_is_new(tenant, key, uid) for key, uid in before.items()), "new objects")
    tenant.wait()


def test_lost_labels_and_annotations_come_back(tenant: Tenant) -> None:
    tenant.create()
    tenant.wait()
    gone: dict[str, Any] = {
        "labels": {"pyairtable.dev/workspace": "another", "app.kubernetes.io/managed-by": None},
        "annotations": {"pyairtable.dev/workspace-uid": None},
    }
    for key in _named(tenant):
        tenant.edit(*key, {"metadata": gone})
    tenant.until(lambda: all(_marked(tenant, tenant.get(*key)) for key in _named(tenant)), "the marks")


def _is_new(tenant: Tenant, key: tuple[str, str], uid: str) -> bool:
    return tenant.get(*key).get("metadata", {}).get("uid") not in (None, uid)


def _marked(tenant: Tenant, body: dict[str, Any]) -> bool:
    meta = body["metadata"]
    ours = (meta["labels"].get("pyairtable.dev/workspace"), meta["labels"].get("app.kubernetes.io/managed-by"))
    owner = (meta.get("annotations") or {}).get("pyairtable.dev/workspace-uid")
    return ours == (tenant.name, "pyairtable-operator") and owner == tenant.workspace()["metadata"]["uid"]


@pytest.mark.parametrize(
    ("kind", "name", "patch"),
    [
        ("ResourceQuota", "pyairtable", {"spec": {"hard": {"pods": "1000"}}}),
        ("LimitRange", "pyairtable", {"spec": {"limits": [{"type": "Container", "default": {"cpu": "64"}}]}}),
        ("NetworkPolicy", "pyairtable-default-deny", {"spec": {"egress": [{}]}}),
        ("Role", "pyairtable-owner", {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}),
        ("RoleBinding", "pyairtable-owners", {"subjects": []}),
        ("BaseBinding", "crm", {"spec": {"access": "Schema"}}),
        ("ServiceAccount", "pyairtable-app", {"automountServiceAccountToken": True}),
    ],
)
def test_an_edit_is_taken_back(tenant: Tenant, kind: str, name: str, patch: dict[str, Any]) -> None:
    tenant.create()
    tenant.wait()
    content = {key: value for key, value in tenant.get(kind, name).items() if key not in ("metadata", "status")}
    tenant.edit(kind, name, patch)
    tenant.until(
        lambda: (
            {key: value for key, value in tenant.get(kind, name).items() if key not in ("metadata", "status")}
            == content
        ),
        f"the {kind} as it was",
    )


def test_another_role_in_the_binding_is_undone_by_a_new_binding(tenant: Tenant) -> None:
    tenant.create()
    tenant.wait()
    tenant.remove("RoleBinding", "pyairtable-owners")
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "metadata": {"name": "pyairtable-owners", "namespace": tenant.namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    }
    path = tenant.path("RoleBinding", "").rstrip("/")
    tenant.api.post(path, json={"kind": "RoleBinding", **binding})  # the operator may be quicker
    tenant.until(
        lambda: tenant.get("RoleBinding", "pyairtable-owners").get("roleRef", {}).get("name") == "pyairtable-owner",
        "the owners' own role",
    )


def test_another_applier_is_named_and_not_fought(tenant: Tenant, operator: OperatorProcess) -> None:
    tenant.create()
    tenant.wait()
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "pyairtable"},
        "spec": {"hard": {"pods": "77"}},
    }
    answer = tenant.api.patch(
        tenant.path("ResourceQuota", "pyairtable"),
        json=quota,
        params={"fieldManager": "gitops", "force": "true"},
        headers={"Content-Type": "application/apply-patch+yaml"},
    )
    answer.raise_for_status()
    message = tenant.wait("NamespaceReady", "False", "Conflict")["message"]
    assert "gitops" in message and "spec.hard.pods" in message
    assert tenant.get("ResourceQuota", "pyairtable")["spec"]["hard"]["pods"] == "77"
    assert operator.metric("pyairtable_operator_reconciles", result="error") == 0
    tenant.remove("ResourceQuota", "pyairtable")
    tenant.wait()


def _named(tenant: Tenant) -> list[tuple[str, str]]:
    return [(kind, name.format(tenant.name)) for kind, name in OBJECTS]
