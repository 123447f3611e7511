"""The whole system as `make cluster` starts it: control plane, chart, platform, operator, emulators."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster.system.running_system import System
from integration.demo.running import start
from kubernetes_kit.plane import require_programs


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running system, of which Ctrl-C leaves nothing but its logs. Tests use names of their own."""
    require_programs()
    data = tmp_path_factory.mktemp("system") / "data"
    running = start(data, "cluster", "up", "--provider", "built")
    try:
        running.wait_for("The cluster stays up")
        yield System(data / "kubeconfig", running.port_offset)
    finally:
        running.interrupt()
    assert [entry.name for entry in data.iterdir()] == ["logs"]
