"""The process: restarts, a second replica, the Lease, the probes, and a cluster without our custom resources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes_kit.operator_process import CREDENTIALS_NAMESPACE, OPERATOR_NAMESPACE, OperatorProcess
from kubernetes_kit.plane import install_crds, running_control_plane
from kubernetes_kit.platform_double import PlatformDouble
from kubernetes_kit.tenant import MakeTenant, Tenant
from kubernetes_kit.wait import eventually

from pyairtable_devkit.cluster.control_plane import ControlPlane


@pytest.fixture(scope="module")
def operator_env() -> dict[str, str]:
    """A quick Lease."""
    return {"LEASE_SECONDS": "3"}


def test_a_restart_writes_nothing_and_makes_no_second_key(
    make_tenant: MakeTenant, operator: OperatorProcess, platform: PlatformDouble
) -> None:
    tenants = [make_tenant() for _ in range(3)]
    for tenant in tenants:
        tenant.put_token(f"patEmulator.{tenant.name}")
        tenant.create()
    for tenant in tenants:
        tenant.wait()
        assert tenant.get("BaseBinding", "crm")["status"]
    before = [(tenant.versions(), tenant.key()) for tenant in tenants]
    calls = platform.state.calls["VerifyBindings"]
    operator.kill()
    operator.start().wait_ready()
    operator.wait_leading()
    eventually(lambda: operator.metric("pyairtable_operator_reconciles", result="ok") >= 3, what="a pass of each")
    assert [(tenant.versions(), tenant.key()) for tenant in tenants] == before
    assert platform.state.calls["VerifyBindings"] == calls, "what the status confirms has time"
    assert not [line for line in operator.logs().splitlines() if '"ERROR"' in line]


def test_a_standby_takes_over_from_a_leader_that_is_killed_and_writes_nothing_before(
    kubeconfig: Path, operator: OperatorProcess, platform: PlatformDouble, tenant: Tenant
) -> None:
    with OperatorProcess(kubeconfig, platform.env, name="operator-b", env={"LEASE_SECONDS": "3"}) as standby:
        standby.wait_ready()
        assert standby.metric("pyairtable_operator_leader") == 0
        operator.kill()
        tenant.create()
        standby.wait_leading(20)
        tenant.wait()
        operator.start().wait_ready()
        assert operator.metric("pyairtable_operator_leader") == 0
        assert standby.stop() == 0
        operator.wait_leading(20)
    tenant.change(suspend=True)
    tenant.wait("Ready", "False", "Suspended")


def test_a_leader_that_was_stopped_for_too_long_ends_without_a_write(
    kubeconfig: Path, operator: OperatorProcess, platform: PlatformDouble, tenant: Tenant
) -> None:
    tenant.create()
    tenant.wait()
    with OperatorProcess(kubeconfig, platform.env, name="operator-b", env={"LEASE_SECONDS": "3"}) as standby:
        standby.wait_ready()
        operator.pause()
        standby.wait_leading(20)
        tenant.change(namespace={"quota": {"pods": "21"}})
        tenant.wait()
        before = tenant.versions()
        assert operator.process is not None
        operator.resume()
        assert operator.process.wait(timeout=30) == 1
        assert "Lease was lost" in operator.logs()
        assert tenant.versions() == before
    operator.start().wait_ready()
    operator.wait_leading()


def test_the_lease_is_given_back_at_the_end(cluster: ControlPlane, operator: OperatorProcess) -> None:
    assert operator.stop() == 0, operator.logs()[-3000:]
    path = f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases/pyairtable-operator"
    assert not cluster.api.get(path).json()["spec"].get("holderIdentity")
    operator.start().wait_ready()
    operator.wait_leading()


def test_probes_and_metrics(operator: OperatorProcess, tenant: Tenant) -> None:
    tenant.create()
    tenant.wait()
    assert operator.http("/healthz") == (200, "ok")
    assert operator.http("/readyz") == (200, "ok")
    eventually(
        lambda: operator.metric("pyairtable_operator_workspaces", condition="Ready", status="True") >= 1, what="a count"
    )
    metrics = operator.http("/metrics")[1]
    for name in ("reconcile_seconds_bucket", "queue_depth", "api_calls_total", "watch_age_seconds", "leader"):
        assert f"pyairtable_operator_{name}" in metrics


def test_wrong_settings_end_the_process_with_the_name_of_the_variable(kubeconfig: Path) -> None:
    with OperatorProcess(kubeconfig, {}, env={"LEASE_SECONDS": "soon"}) as process:
        assert process.process is not None and process.process.wait(timeout=30) == 1
        assert "LEASE_SECONDS is wrong" in process.logs()


@pytest.fixture(scope="module")
def bare_plane() -> Iterator[ControlPlane]:
    """A control plane of its own, without our custom resources."""
    with running_control_plane() as plane:
        for name in (OPERATOR_NAMESPACE, CREDENTIALS_NAMESPACE):
            plane.api.post("/api/v1/namespaces", json={"metadata": {"name": name}})
        yield plane


@pytest.mark.slow
def test_without_the_custom_resources_it_waits_says_so_and_starts_when_they_come(
    bare_plane: ControlPlane, platform: PlatformDouble
) -> None:
    with OperatorProcess(bare_plane.kubeconfig, platform.env, env={"LOG_LEVEL": "DEBUG"}) as operator:
        eventually(lambda: "waiting for the CRD" in operator.logs(), what="a word about the missing CRDs")
        status, text = operator.http("/readyz")
        assert status == 503 and "workspaces" in text
        install_crds(bare_plane)
        operator.wait_ready()
        tenant = Tenant(bare_plane.api)
        tenant.put_token("patEmulator.late")
        tenant.create()
        tenant.wait()
        tenant.delete()
        tenant.wait_gone(100)  # more than a watch may be silent before it is opened anew
