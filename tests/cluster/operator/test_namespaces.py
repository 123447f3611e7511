"""The tenant namespace: whose it is, what may be taken, and what becomes of it with the Workspace."""

from __future__ import annotations

import grpc
import pytest
from kubernetes_kit.platform_double import PlatformDouble
from kubernetes_kit.tenant import MakeTenant, Tenant
from kubernetes_kit.tenants import COLLECTIONS


@pytest.fixture(scope="module")
def operator_env() -> dict[str, str]:
    """A short grace for a platform that is away."""
    return {"DELETION_GRACE_SECONDS": "3"}


def _namespace(tenant: Tenant, **annotations: str) -> dict[str, object]:
    named = {f"pyairtable.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
    body = {"metadata": {"name": tenant.namespace, "annotations": named, "labels": {"made-by": "somebody"}}}
    answer = tenant.api.post(COLLECTIONS["Namespace"], json=body)
    answer.raise_for_status()
    found: dict[str, object] = answer.json()
    return found


def test_a_namespace_that_was_there_is_left_alone_until_it_is_handed_over(
    tenant: Tenant, platform: PlatformDouble
) -> None:
    before = _namespace(tenant)
    tenant.create()
    message = tenant.wait("NamespaceReady", "False", "NamespaceNotOurs")["message"]
    assert f"pyairtable.dev/adopt-by={tenant.name}" in message
    left = tenant.get("Namespace", tenant.namespace)
    assert left["metadata"]["labels"] == before["metadata"]["labels"]  # type: ignore[index]
    assert not tenant.key() and tenant.name not in platform.state.registry
    tenant.edit("Namespace", tenant.namespace, {"metadata": {"annotations": {"pyairtable.dev/adopt-by": tenant.name}}})
    tenant.wait()
    # An adopted namespace outlives its Workspace, whatever the policy says.
    tenant.change(deletionPolicy="Delete")
    tenant.delete()
    tenant.wait_gone()
    kept = tenant.get("Namespace", tenant.namespace)
    assert "deletionTimestamp" not in kept["metadata"] and kept["metadata"]["labels"]["made-by"] == "somebody"
    assert "pyairtable.dev/workspace" not in kept["metadata"]["labels"]
    assert not [mark for mark in kept["metadata"].get("annotations", {}) if mark.startswith("pyairtable.dev/")]
    tenant.remove("Namespace", tenant.namespace)


def test_a_namespace_of_another_workspace_cannot_be_adopted(make_tenant: MakeTenant) -> None:
    first, second = make_tenant(), make_tenant()
    first.put_token("patEmulator.first")
    first.create()
    first.wait()
    first.edit("Namespace", first.namespace, {"metadata": {"annotations": {"pyairtable.dev/adopt-by": second.name}}})
    second.create(namespace={"name": first.namespace})
    second.wait("NamespaceReady", "False", "NamespaceNotOurs")
    assert first.get("Namespace", first.namespace)["metadata"]["labels"]["pyairtable.dev/workspace"] == first.name
    second.delete()
    second.wait_gone()
    assert first.condition("Ready")["status"] == "True"


def test_retain_keeps_the_namespace_with_what_confines_it(tenant: Tenant, platform: PlatformDouble) -> None:
    tenant.create()
    tenant.wait()
    tenant.delete()
    tenant.wait_gone()
    kept = tenant.get("Namespace", tenant.namespace)
    assert "deletionTimestamp" not in kept["metadata"]
    assert "pyairtable.dev/workspace" not in kept["metadata"]["labels"]
    for kind, name in (
        ("ResourceQuota", "pyairtable"),
        ("LimitRange", "pyairtable"),
        ("NetworkPolicy", "pyairtable-default-deny"),
    ):
        assert "pyairtable.dev/workspace" not in tenant.get(kind, name)["metadata"].get("labels", {})
    for kind, name in (
        ("Secret", "pyairtable-access"),
        ("RoleBinding", "pyairtable-owners"),
        ("BaseBinding", "crm"),
        ("ClusterRoleBinding", f"pyairtable:workspace:{tenant.name}"),
    ):
        assert not tenant.get(kind, name)
    assert tenant.name not in platform.state.registry and platform.state.keys[tenant.name] == {}
    # A new Workspace of the name finds a namespace that is not its own.
    tenant.create()
    tenant.wait("NamespaceReady", "False", "NamespaceNotOurs")
    tenant.edit("Namespace", tenant.namespace, {"metadata": {"annotations": {"pyairtable.dev/adopt-by": tenant.name}}})
    tenant.wait()


def test_delete_takes_the_namespace_along(tenant: Tenant) -> None:
    tenant.create(deletionPolicy="Delete")
    tenant.wait()
    tenant.delete()
    tenant.wait_gone()
    assert not tenant.get("Namespace", tenant.namespace)
    assert not tenant.get("ClusterRole", f"pyairtable:workspace:{tenant.name}")


def test_a_namespace_that_is_being_deleted_is_waited_for_and_made_anew(
    tenant: Tenant, platform: PlatformDouble
) -> None:
    tenant.create()
    tenant.wait()
    # A finalizer of somebody's holds the namespace up: the API server alone would be too quick to see it.
    holder = {"metadata": {"name": "held", "namespace": tenant.namespace, "finalizers": ["example.com/held"]}}
    held = tenant.api.post(f"/api/v1/namespaces/{tenant.namespace}/configmaps", json=holder)
    held.raise_for_status()
    tenant.remove("Namespace", tenant.namespace)
    tenant.wait("NamespaceReady", "False", "NamespaceTerminating")
    tenant.change(suspend=True)
    tenant.wait("PlatformSynced", "True", "Suspended")  # access ends all the same
    assert platform.state.registry[tenant.name].suspended
    tenant.change(suspend=False)
    tenant.api.patch(
        f"/api/v1/namespaces/{tenant.namespace}/configmaps/held",
        json={"metadata": {"finalizers": None}},
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()
    tenant.wait(seconds=90)


def test_a_platform_that_is_away_holds_a_deletion_up_for_the_grace_only(
    tenant: Tenant, platform: PlatformDouble
) -> None:
    tenant.create()
    tenant.wait()
    platform.fail(grpc.StatusCode.UNAVAILABLE, "")
    tenant.delete()
    tenant.wait("Ready", "False", "Deleting")
    assert tenant.status()["phase"] == "Deleting"
    tenant.wait_gone()
    assert not tenant.get("Secret", "pyairtable-access")
    platform.heal()


def test_a_deletion_goes_on_when_it_is_forced(make_tenant: MakeTenant, platform: PlatformDouble) -> None:
    tenant = make_tenant()
    tenant.create()
    tenant.wait("NamespaceReady", "True")
    platform.fail(grpc.StatusCode.UNAVAILABLE, "")
    tenant.annotate(force_delete="true")
    tenant.delete()
    tenant.wait_gone()
    platform.heal()


def test_a_full_quota_is_named(tenant: Tenant) -> None:
    tenant.create(namespace={"quota": {"count/secrets": "0"}})
    # The quota counts only once the controller has looked, so the first Secret comes through.
    tenant.wait("AccessKeyIssued")
    tenant.until(lambda: tenant.get("ResourceQuota", "pyairtable").get("status", {}).get("used"), "the quota's count")
    tenant.remove("Secret", "pyairtable-access")
    found = tenant.wait("AccessKeyIssued", "False", "QuotaExceeded")
    assert "exceeded quota" in found["message"]
    tenant.change(namespace={"quota": {"count/secrets": "10"}})
    tenant.wait(seconds=90)


def test_a_name_of_the_platform_is_not_taken(make_tenant: MakeTenant) -> None:
    tenant = make_tenant()
    answer = tenant.api.post(
        "/apis/pyairtable.dev/v1alpha1/workspaces",
        json={
            "apiVersion": "pyairtable.dev/v1alpha1",
            "kind": "Workspace",
            "metadata": {"name": tenant.name},
            "spec": {"namespace": {"name": "pyairtable-system"}},
        },
    )
    assert answer.status_code == 422
