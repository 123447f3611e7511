"""The whole system as `pyairtable-devkit cluster up` starts it: control plane, chart, platform, operator, emulators."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cluster.system.running_system import System
from integration.demo.running import DEVKIT, free_offset
from kubernetes_kit.plane import REPOSITORY, require_programs


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running system; nothing of it is left afterwards. Tests use names of their own."""
    require_programs()
    data, offset = tmp_path_factory.mktemp("system") / "data", free_offset()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [str(DEVKIT), "cluster", arguments[0], "--data", str(data), *arguments[1:]]
        return subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=400)

    try:
        up = run("up", "--detach", "--provider", "built", "--port-offset", str(offset))
        assert up.returncode == 0, up.stdout + up.stderr
        path = Path(run("kubeconfig").stdout.strip())
        assert yaml.safe_load(path.read_text())["contexts"]
        yield System(path, offset)
    finally:
        run("down")
