"""The arena of the fault tests: one for each module, on the control plane of this process."""

from collections.abc import Iterator

import pytest
from kubernetes_kit.api_proxy import ApiProxy
from kubernetes_kit.arena import Arena, install_rights
from kubernetes_kit.operator_process import OPERATOR_NAMESPACE
from kubernetes_kit.operator_zygote import Zygote
from kubernetes_kit.platform_double import PlatformDouble

from pyairtable_devkit.cluster.control_plane import ControlPlane


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """The process that operators are forked from."""
    with Zygote() as running:
        yield running


@pytest.fixture(scope="module")
def arena(crds: ControlPlane, zygote: Zygote) -> Iterator[Arena]:
    """Control plane, proxy, platform and operators; what was made in it is removed."""
    install_rights(crds)
    config = crds.kubeconfig_for_service_account(OPERATOR_NAMESPACE, "pyairtable-operator")
    with ApiProxy(crds.server_url, crds.ca_file) as proxy, PlatformDouble() as platform:
        arena = Arena(crds, proxy, platform, zygote, config)
        yield arena
        arena.end()
        arena.forget()
