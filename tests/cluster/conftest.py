"""A real API server with etcd and controller manager, one for each pytest process, started by the first who asks.

Tests that use one carry the mark `cluster`; they get it here when they ask for one of these fixtures.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from kubernetes_kit.plane import install_crds, running_control_plane

from pyairtable_devkit.cluster.control_plane import ControlPlane


class Helm(Protocol):
    """`helm("install", ...)`; see ControlPlane.helm."""

    def __call__(
        self, *arguments: str | Path, input: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever uses the control plane, so that `-m "not cluster"` leaves out all of it."""
    for item in items:
        if "control_plane" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A running control plane, shared by all tests of this process: use names of your own, leave nothing behind."""
    with running_control_plane() as plane:
        yield plane


@pytest.fixture(scope="session")
def crds(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with the chart's custom resource definitions, established."""
    install_crds(control_plane)
    return control_plane


@pytest.fixture(scope="session")
def helm(control_plane: ControlPlane) -> Helm:
    """Runs helm against the control plane."""
    return control_plane.helm
