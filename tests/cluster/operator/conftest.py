"""An operator per module, as a real process with the rights that the chart gives it, and a platform to steer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes_kit.arena import install_rights
from kubernetes_kit.operator_process import CREDENTIALS_NAMESPACE, OPERATOR_NAMESPACE, OperatorProcess
from kubernetes_kit.platform_double import PlatformDouble
from kubernetes_kit.tenant import MakeTenant, Tenant

from pyairtable_devkit.cluster.control_plane import ControlPlane


@pytest.fixture(scope="session")
def cluster(crds: ControlPlane) -> ControlPlane:
    """The control plane with custom resources and the platform's two namespaces."""
    for name in (OPERATOR_NAMESPACE, CREDENTIALS_NAMESPACE):
        crds.api.post("/api/v1/namespaces", json={"metadata": {"name": name}})
    install_rights(crds)
    return crds


@pytest.fixture(scope="session")
def kubeconfig(cluster: ControlPlane) -> Path:
    """Of the operator's ServiceAccount."""
    return cluster.kubeconfig_for_service_account(OPERATOR_NAMESPACE, "pyairtable-operator")


@pytest.fixture(scope="module")
def platform() -> Iterator[PlatformDouble]:
    """The platform's services, in memory."""
    with PlatformDouble() as double:
        yield double


@pytest.fixture(scope="module")
def operator_env() -> dict[str, str]:
    """Settings of the module's operator; a module may have its own."""
    return {}


@pytest.fixture(scope="module")
def operator(kubeconfig: Path, platform: PlatformDouble, operator_env: dict[str, str]) -> Iterator[OperatorProcess]:
    """A running operator that leads."""
    with OperatorProcess(kubeconfig, platform.env, env=operator_env) as process:
        process.wait_ready()
        process.wait_leading()
        yield process


@pytest.fixture
def make_tenant(cluster: ControlPlane, operator: OperatorProcess, platform: PlatformDouble) -> Iterator[MakeTenant]:
    """Makes tenants of the running operator, which are deleted in the end."""
    made: list[Tenant] = []

    def make(name: str = "") -> Tenant:
        made.append(Tenant(cluster.api, name))
        return made[-1]

    yield make
    platform.heal()
    for tenant in made:
        if tenant.workspace():
            tenant.annotate(force_delete="true")
            tenant.delete()
    for tenant in made:
        tenant.wait_gone()


@pytest.fixture
def tenant(make_tenant: MakeTenant) -> Tenant:
    """A tenant with a good token, whose Workspace is still to be made."""
    made = make_tenant()
    made.put_token("patEmulator.not-a-real-token")
    return made
