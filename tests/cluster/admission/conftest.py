"""A control plane of their own for these tests: policies would get into the way of others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kubernetes_kit.callers import Requests
from kubernetes_kit.guarded import Guarded, guarded_cluster
from kubernetes_kit.plane import install_crds, running_control_plane

from pyairtable_devkit.cluster.control_plane import ControlPlane


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A control plane with the chart's custom resources."""
    with running_control_plane(audit=False) as plane:
        install_crds(plane)
        yield plane


@pytest.fixture(scope="session")
def guarded(control_plane: ControlPlane) -> Guarded:
    """Two tenants behind the chart's policies. Tests change nothing for real that others look at."""
    return guarded_cluster(control_plane)


@pytest.fixture(scope="session")
def requests(guarded: Guarded) -> Requests:
    """Requests to the guarded cluster."""
    return guarded.requests
