"""The namespaces of a node end whole with whoever started them. Needs root, and no program of Kubernetes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from kubernetes_kit.machine import Machine
from kubernetes_kit.wait import eventually

from pyairtable_devkit.cluster.node.network import free_network
from pyairtable_devkit.cluster.node.sandbox import NodeProgram, Sandbox, SandboxError, remove_traces, switch_off

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are made by root")

BUSY = """
mount -t tmpfs tmpfs /run/lost+found 2>/dev/null || mkdir /run/mine && mount -t tmpfs tmpfs /run/mine
ip link add lost type veth peer name found
nft add table ip lost
touch /var/lib/lost-by-a-node
exec sleep 600
"""
STARTER = """
import sys, time
from pathlib import Path
from pyairtable_devkit.cluster.node.network import free_network
from pyairtable_devkit.cluster.node.sandbox import NodeProgram, Sandbox
folder = Path(sys.argv[1])
sandbox = Sandbox(folder / "node", free_network(), folder / "logs", "/usr/bin")
sandbox.start()
while not sandbox.is_prepared():
    time.sleep(0.05)
sandbox.run_programs([NodeProgram("busy", ["/bin/sh", "-c", sys.argv[2]])])
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A prepared sandbox without programs."""
    made = Sandbox(tmp_path / "node", free_network(), tmp_path / "logs", "/usr/bin")
    made.start()
    try:
        eventually(lambda: made.is_prepared() or bool(made.failure()))
        assert made.failure() == ""
        yield made
    finally:
        made.stop()


def _is_busy(sandbox: Sandbox) -> bool:
    return "lost" in sandbox.run("nft", "list", "tables") and sandbox.has(Path("/var/lib/lost-by-a-node"))


def test_it_leaves_nothing_behind(tmp_path: Path) -> None:
    before = Machine.now(tmp_path)
    sandbox = Sandbox(tmp_path / "node", free_network(), tmp_path / "logs", "/usr/bin")
    sandbox.start()
    try:
        eventually(sandbox.is_prepared)
        sandbox.run_programs([NodeProgram("busy", ["/bin/sh", "-c", BUSY])])
        eventually(lambda: _is_busy(sandbox))
        during = {line.partition(":")[0] for line in before.differences(Machine.now(tmp_path))}
        assert during == {"interfaces", "routes", "cgroups", "processes", "folders"}
    finally:
        sandbox.stop()
    assert before.differences(Machine.now(tmp_path)) == []
    assert not Path("/var/lib/lost-by-a-node").exists()


def test_it_ends_with_who_started_it_and_the_rest_is_removed_later(tmp_path: Path) -> None:
    before = Machine.now(tmp_path)
    argv = [sys.executable, "-c", STARTER, str(tmp_path), BUSY]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "started\n"
        inside = psutil.Process(starter.pid).children(recursive=True)
        starter.kill()
    eventually(lambda: not any(process.is_running() for process in inside))
    assert remove_traces(tmp_path / "node")
    eventually(lambda: before.differences(Machine.now(tmp_path)) == [])
    assert not remove_traces(tmp_path / "node")


def test_programs_start_when_what_they_need_is_there_and_again_when_they_end(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.run_programs(
        [
            NodeProgram("short", ["/bin/sh", "-c", "echo here; exit 3"]),
            NodeProgram("patient", ["/bin/sh", "-c", "echo at last; exec sleep 600"], needs=Path("/run/sign")),
        ]
    )
    log = tmp_path / "logs" / "short.log"
    eventually(lambda: log.exists() and log.read_text().count("here") > 1)
    assert "short ended with 3; it is started again" in log.read_text()
    assert not (tmp_path / "logs" / "patient.log").exists()
    sandbox.run("touch", "/run/sign")
    eventually(lambda: (tmp_path / "logs" / "patient.log").exists())


def test_after_a_power_cut_it_starts_with_its_files(sandbox: Sandbox) -> None:
    sandbox.run_programs([NodeProgram("keeper", ["/bin/sh", "-c", f"echo x >> {sandbox.folder}/kept; exec sleep 600"])])
    eventually((sandbox.folder / "kept").exists)
    assert switch_off(psutil.Process(), sandbox.folder)
    eventually(sandbox.failure)
    sandbox.boot()
    eventually(sandbox.is_prepared)
    eventually(lambda: (sandbox.folder / "kept").read_text() == "x\nx\n")


def test_a_command_that_fails_says_so(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="`ls /none` failed in the node"):
        sandbox.run("ls", "/none")


def test_a_folder_that_the_node_has_a_fresh_one_over_is_still_its_own() -> None:
    folder = Path("/var/tmp/pyairtable-node-test")  # noqa: S108 - below /var, which is the node's own inside
    sandbox = Sandbox(folder / "node", free_network(), folder / "logs", "/usr/bin")
    sandbox.start()
    try:
        eventually(sandbox.is_prepared)
        sandbox.run("touch", str(folder / "node" / "seen"))
        assert (folder / "node" / "seen").exists()
    finally:
        sandbox.stop()
        subprocess.run(["rm", "-rf", str(folder)], check=True)
