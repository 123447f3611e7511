"""`cluster up --node` as a person uses it; afterwards, and after a kill -9, this machine is as it was before."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from integration.demo.running import DEVKIT
from kubernetes_kit.node_cluster import require_node_programs
from kubernetes_kit.wait import eventually
from unit.devkit.support import REPOSITORY

from pyairtable_devkit.cluster.record import Place, read_record

Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Machine:
    """What a node could leave behind."""

    mounts: frozenset[str]
    interfaces: frozenset[str]
    routes: frozenset[str]
    rules: str
    cgroups: frozenset[str]
    processes: frozenset[str]
    settings: tuple[str, ...]
    folders: frozenset[str]


def _machine(data: Path) -> Machine:
    """Look at this machine. Of processes only those of the node's names: others come and go."""
    said = {
        name: subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        for name, argv in {
            "links": ["ip", "-json", "link", "show"],
            "routes": ["ip", "route", "show", "table", "all"],
            "rules": ["nft", "list", "ruleset"],
        }.items()
    }
    names = ("containerd", "kubelet", "kube-", "etcd", "coredns", "pause", "unshare")
    places: tuple[str, ...] = (
        "/run/containerd",
        "/run/netns",
        "/var/lib/kubelet",
        "/var/lib/cni",
        "/var/lib/containerd",
        "/etc/cni",
    )
    places += ("/var/log/pods", "/var/log/containers", "/opt/cni", str(data / "node"), str(data / "control-plane"))
    settings = ("net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding", "net/ipv4/conf/default/route_localnet")
    return Machine(
        mounts=frozenset(Path("/proc/mounts").read_text().splitlines()),
        interfaces=frozenset(link["ifname"] for link in json.loads(said["links"])),
        routes=frozenset(said["routes"].splitlines()),
        rules=said["rules"],
        cgroups=frozenset(map(str, Path("/sys/fs/cgroup").rglob("pyairtable-*"))),
        processes=frozenset(
            f"{process.info['pid']} {process.info['name']}"
            for process in psutil.process_iter(["pid", "name"])
            if process.info["name"].startswith(names)
        ),
        settings=tuple(Path("/proc/sys", name).read_text() for name in settings),
        folders=frozenset(place for place in places if Path(place).exists()),
    )


def _differences(before: Machine, now: Machine) -> list[str]:
    found = []
    for name, then in vars(before).items():
        if isinstance(then, frozenset):
            found += [f"{name}: {item}" for item in getattr(now, name) - then]
        elif getattr(now, name) != then:
            found.append(f"{name}: {getattr(now, name)}")
    return found


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
    before = _machine(tmp_path)
    _up(command)
    status = command("status")
    assert status.returncode == 0
    assert "pyairtable-node at 10.245." in status.stdout
    assert "1 Running" in status.stdout
    during = _differences(before, _machine(tmp_path))
    assert {line.partition(":")[0] for line in during} >= {"interfaces", "routes", "cgroups", "processes", "folders"}
    assert not any(line.startswith(("mounts", "rules", "settings")) for line in during), during
    assert command("down").returncode == 0
    assert _differences(before, _machine(tmp_path)) == []
    assert {entry.name for entry in tmp_path.iterdir()} == {"logs"}


def test_after_a_kill_one_command_removes_the_rest(command: Run, tmp_path: Path) -> None:
    before = _machine(tmp_path)
    _up(command)
    record = read_record(Place(tmp_path))
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    eventually(lambda: _machine(tmp_path).processes <= before.processes, what="the kernel to end what we started")
    down = command("down")
    assert "What a killed one left behind is removed" in down.stdout
    eventually(lambda: _differences(before, _machine(tmp_path)) == [], what="the kernel to end the node's network")
