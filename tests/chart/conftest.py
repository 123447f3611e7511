"""Helm by itself for rendering, and a control plane of these tests' own: they install what others change."""

from collections.abc import Iterator

import pytest
from chart_kit.rendering import NAMESPACE
from kubernetes_kit.plane import running_control_plane

from pyairtable_devkit.cluster.control_plane import ControlPlane


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever uses the control plane, so that `-m "not cluster"` leaves out all of it."""
    for item in items:
        if "control_plane" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A control plane with the namespaces that the chart and its values name."""
    with running_control_plane(audit=False) as plane:
        for namespace in (NAMESPACE, "pyairtable-credentials", "tokens"):
            plane.kubectl("create", "namespace", namespace)
        yield plane
