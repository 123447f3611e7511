"""Bases: verified, drifted, accepted; bound by the Workspace or by the tenant himself."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from kubernetes_kit.platform_double import PlatformDouble, base, missing_base
from kubernetes_kit.tenant import Tenant
from kubernetes_kit.tenants import condition


@pytest.fixture(scope="module")
def operator_env() -> dict[str, str]:
    """Verifies often, so that a changed schema is noticed within the test."""
    return {"VERIFY_INTERVAL_SECONDS": "1"}


def _binding(tenant: Tenant, name: str, **spec: Any) -> None:
    body = {"apiVersion": "pyairtable.dev/v1alpha1", "metadata": {"name": name, "namespace": tenant.namespace}}
    tenant.add("BaseBinding", {**body, "spec": {"baseId": tenant.base_id, **spec}})


def _other(tenant: Tenant) -> str:
    return f"app{tenant.base_id[:2:-1]}"


def _wait_binding(tenant: Tenant, name: str, kind: str, status: str, reason: str) -> dict[str, Any]:
    def there() -> dict[str, Any]:
        found = condition(tenant.get("BaseBinding", name), kind)
        assert (found.get("status"), found.get("reason")) == (status, reason), f"{name}: {found}"
        return found

    return dict(tenant.until(there, f"{kind} {reason} of {name}"))


@pytest.mark.parametrize(
    ("answer", "reason"), [(missing_base(), "BaseNotFound"), (base("Sales", permission="read"), "BaseReadOnly")]
)
def test_a_base_that_cannot_be_used_as_declared_blocks_ready_and_recovers(
    tenant: Tenant, platform: PlatformDouble, answer: Any, reason: str
) -> None:
    platform.state.bases[tenant.base_id] = answer
    tenant.create()
    message = tenant.wait("BasesBound", "False", reason)["message"]
    assert tenant.base_id in message
    assert tenant.status()["bases"] == "0/1" and tenant.condition("Ready")["reason"] == reason
    _wait_binding(tenant, "crm", "Reachable", "False", reason)
    platform.state.bases[tenant.base_id] = base("Sales")
    tenant.wait()
    _wait_binding(tenant, "crm", "Ready", "True", "Ready")


def test_a_read_only_binding_is_content_with_reading(tenant: Tenant, platform: PlatformDouble) -> None:
    platform.state.bases[tenant.base_id] = base("Sales", permission="read")
    tenant.create(
        airtable={
            "tokenSecretRef": {"name": tenant.secret},
            "bases": [{"name": "crm", "baseId": tenant.base_id, "access": "ReadOnly"}],
        }
    )
    tenant.wait()


def test_drift_is_told_with_the_tables_and_gone_once_it_is_accepted(tenant: Tenant, platform: PlatformDouble) -> None:
    platform.state.bases[tenant.base_id] = base("Sales", tables={"Orders": "a" * 16, "People": "b" * 16})
    tenant.create()
    tenant.wait("SchemaCurrent", "True")
    platform.state.bases[tenant.base_id] = base("Sales", tables={"Orders": "c" * 16, "People": "b" * 16})
    message = tenant.wait("SchemaCurrent", "False", "SchemaDrifted")["message"]
    assert "crm" in message and "Orders" in message and "People" not in message
    assert tenant.condition("Ready")["status"] == "True", "drift does not block"
    status = tenant.get("BaseBinding", "crm")["status"]
    assert status["changedTables"] == ["Orders"]
    accept = {"metadata": {"annotations": {"pyairtable.dev/accept-schema": status["fingerprint"]}}}
    tenant.edit("BaseBinding", "crm", accept)
    tenant.wait("SchemaCurrent", "True")
    assert "changedTables" not in tenant.get("BaseBinding", "crm")["status"]


def test_a_tenant_binds_a_base_that_he_may(tenant: Tenant, platform: PlatformDouble) -> None:
    mine = _other(tenant)
    tenant.create(airtable={**tenant.spec()["airtable"], "tenantBases": [mine]})
    tenant.wait()
    _binding(tenant, "mine", baseId=mine, access="ReadOnly")
    _wait_binding(tenant, "mine", "Ready", "True", "Ready")
    tenant.until(
        lambda: {item.name for item in platform.state.registry[tenant.name].bases} == {"crm", "mine"}, "both bases"
    )
    assert tenant.status()["bases"] == "2/2"
    tenant.remove("BaseBinding", "mine")
    tenant.until(lambda: [item.name for item in platform.state.registry[tenant.name].bases] == ["crm"], "one base")


def test_a_tenant_cannot_bind_a_base_that_he_may_not_nor_one_twice(tenant: Tenant, platform: PlatformDouble) -> None:
    tenant.create(airtable={**tenant.spec()["airtable"], "tenantBases": [tenant.base_id]})
    tenant.wait()
    _binding(tenant, "foreign", baseId=_other(tenant))
    _wait_binding(tenant, "foreign", "Reachable", "False", "BaseNotAllowed")
    _binding(tenant, "twice")
    _wait_binding(tenant, "twice", "Reachable", "False", "DuplicateBase")
    assert [item.name for item in platform.state.registry[tenant.name].bases] == ["crm"]
    assert not [asked for asked in platform.state.verified if _other(tenant) in asked.base_ids]


def test_the_registry_away_is_said_and_caught_up(tenant: Tenant, platform: PlatformDouble) -> None:
    platform.fail(grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE", "workspaces")
    tenant.create()
    tenant.wait("PlatformSynced", "False", "PlatformUnavailable")
    tenant.wait("NamespaceReady", "True")
    platform.heal()
    tenant.wait()
    assert tenant.name in platform.state.registry


def test_usage_is_shown_and_a_crossed_budget_is_told(tenant: Tenant, platform: PlatformDouble) -> None:
    platform.state.usage[tenant.name] = 10
    tenant.create(airtable={**tenant.spec()["airtable"], "monthlyCallBudget": 1000})
    tenant.wait()
    assert tenant.status()["usage"]["calls"] == 10
    platform.state.usage[tenant.name] = 850
    tenant.until(lambda: tenant.status()["usage"].get("percent") == 85, "the crossed budget")
