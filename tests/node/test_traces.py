"""`cluster up --node` as a person uses it; afterwards, and after a kill -9, this machine is as it was before."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from integration.demo.running import DEVKIT
from kubernetes_kit.machine import Machine
from kubernetes_kit.node_cluster import require_node_programs
from kubernetes_kit.wait import eventually
from unit.devkit.support import REPOSITORY

from pyairtable_devkit.cluster.record import Place, read_record

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Run]:
    """Run `cluster COMMAND` on a data folder of its own; whatever is left running is stopped."""
    require_node_programs()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [str(DEVKIT), "cluster", arguments[0], "--data", str(tmp_path), *arguments[1:]]
        return subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=170)

    yield run
    run("down")


def _up(command: Run) -> None:
    up = command("up", "--node", "--detach", "--provider", "built")
    assert up.returncode == 0, up.stdout + up.stderr


def test_up_status_and_down_leave_nothing(command: Run, tmp_path: Path) -> None:
    before = Machine.now(tmp_path)
    _up(command)
    status = command("status")
    assert status.returncode == 0
    assert "pyairtable-node at 10.245." in status.stdout
    assert "1 Running" in status.stdout
    during = before.differences(Machine.now(tmp_path))
    assert {line.partition(":")[0] for line in during} >= {"interfaces", "routes", "cgroups", "processes", "folders"}
    assert command("restart-node").returncode == 0
    eventually(lambda: "1 Running" in command("status").stdout)
    assert not any(line.startswith(("mounts", "rules", "settings")) for line in during), during
    assert command("down").returncode == 0
    assert before.differences(Machine.now(tmp_path)) == []
    assert {entry.name for entry in tmp_path.iterdir()} == {"logs"}


def test_after_a_kill_one_command_removes_the_rest(command: Run, tmp_path: Path) -> None:
    before = Machine.now(tmp_path)
    _up(command)
    record = read_record(Place(tmp_path))
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    eventually(lambda: Machine.now(tmp_path).processes <= before.processes, what="the kernel to end what we started")
    down = command("down")
    assert "What a killed one left behind is removed" in down.stdout
    eventually(lambda: before.differences(Machine.now(tmp_path)) == [], what="the kernel to end the node's network")
