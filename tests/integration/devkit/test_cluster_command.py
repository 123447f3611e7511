"""`pyairtable-devkit cluster` as a person uses it: up, status, kubeconfig, down, and what is left."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from integration.demo.running import DEVKIT, free_offset
from kubernetes_kit.plane import require_programs
from unit.devkit.support import REPOSITORY, is_gone, wait_until

from pyairtable_devkit.cluster.record import Place, read_record

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Run]:
    """Run `cluster COMMAND` on a data folder of its own; whatever is left running is stopped."""
    require_programs()
    data = tmp_path / "data"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [str(DEVKIT), "cluster", arguments[0], "--data", str(data), *arguments[1:]]
        return subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=170)

    yield run
    run("down")


def _processes(data: Path) -> list[psutil.Process]:
    record = read_record(Place(data))
    assert record is not None
    head = psutil.Process(record.pid)
    return [head, *head.children(recursive=True)]


def test_a_bare_cluster_from_up_to_down(cluster: Run, tmp_path: Path) -> None:
    data, own = tmp_path / "data", tmp_path / "config"
    up = cluster("up", "--bare", "--detach", "--provider", "built", "--port-offset", str(free_offset()))
    assert up.returncode == 0, up.stdout + up.stderr
    processes = _processes(data)
    assert {process.name()[:14] for process in processes} >= {"etcd", "kube-apiserver", "kube-controlle"}

    status = cluster("status")
    assert status.returncode == 0
    assert status.stdout.startswith("ready: built control plane")

    path = cluster("kubeconfig").stdout.strip()
    kubectl = require_programs()["kubectl"]
    told = {**os.environ, "KUBECONFIG": path, "KUBECACHEDIR": str(tmp_path / "cache")}
    answer = subprocess.run([kubectl, "get", "namespaces", "-o", "name"], env=told, capture_output=True, text=True)
    assert "namespace/kube-system" in answer.stdout
    assert Path(path).stat().st_mode & 0o077 == 0

    assert "running already" in cluster("up", "--bare").stdout
    assert cluster("kubeconfig", "--merge", "--into", str(own)).returncode == 0
    assert yaml.safe_load(own.read_text())["current-context"] == "pyairtable-devkit"

    foreign = tmp_path / "foreign"
    foreign.write_text("contexts: [{name: pyairtable-devkit, context: {cluster: production}}]\n")
    refused = cluster("kubeconfig", "--merge", "--into", str(foreign))
    assert (refused.returncode, "not of our making" in refused.stdout) == (1, True)

    assert cluster("down").returncode == 0
    assert foreign.read_text().endswith("{cluster: production}}]\n")
    assert all(is_gone(process.pid) for process in processes)
    assert {entry.name for entry in data.iterdir()} == {"logs"}
    assert yaml.safe_load(own.read_text())["contexts"] == []
    assert cluster("status").returncode == 3


@pytest.mark.torture
def test_a_killed_cluster_leaves_no_process_and_the_next_one_starts(cluster: Run, tmp_path: Path) -> None:
    data, offset = tmp_path / "data", str(free_offset())
    up = cluster("up", "--bare", "--detach", "--provider", "built", "--port-offset", offset)
    assert up.returncode == 0, up.stdout + up.stderr
    processes = _processes(data)
    os.kill(processes[0].pid, signal.SIGKILL)
    wait_until(lambda: all(is_gone(process.pid) for process in processes))
    assert cluster("status").returncode == 3
    assert cluster("up", "--bare", "--detach", "--provider", "built", "--port-offset", offset).returncode == 0
    assert cluster("down").returncode == 0
    assert {entry.name for entry in data.iterdir()} == {"logs"}
