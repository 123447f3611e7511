"""A control plane with the operator and a stand-in of the platform, each a process of its own, for measurements."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, Self

import httpx2
import orjson
import psutil
from benchmarks import operator_counters
from benchmarks.operator_counters import Requests
from kubernetes_kit.plane import install_crds, running_control_plane
from kubernetes_kit.tenants import WORKSPACES, is_current
from kubernetes_kit.wait import eventually

from pyairtable_devkit.cluster.control_plane import ControlPlane
from pyairtable_devkit.ports import free_port

Body = dict[str, Any]
OPERATOR = Path(sys.executable).with_name("pyairtable-operator")
TESTS = Path(__file__).resolve().parents[1]
SYSTEM, CREDENTIALS = "pyairtable-system", "pyairtable-credentials"
CONCURRENCY = 8
"""Workers of the operator and of its referee."""


@contextmanager
def cluster() -> Iterator[ControlPlane]:
    """A fresh control plane with our resources and a ServiceAccount that may do everything.

    A ServiceAccount, because the API server lets system:masters pass its queues, and no operator is one of them.
    """
    with running_control_plane(audit=False) as plane:
        install_crds(plane)
        for name in (SYSTEM, CREDENTIALS):
            plane.kubectl("create", "namespace", name)
        plane.kubectl("create", "serviceaccount", "bench", "-n", SYSTEM)
        plane.kubectl(
            "create", "clusterrolebinding", "bench", "--clusterrole=cluster-admin", f"--serviceaccount={SYSTEM}:bench"
        )
        yield plane


@dataclass
class Measured:
    """A process that is measured."""

    process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        return float(sum(psutil.Process(self.process.pid).cpu_times()[:2]))

    def memory(self) -> Body:
        """Resident now, at the highest, and what would be freed if it ended; MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        highest = next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]
        full = psutil.Process(self.process.pid).memory_full_info()
        return {"resident": full.rss / 2**20, "highest": int(highest) / 2**10, "own": full.uss / 2**20}


@dataclass
class Rig:
    """The running system."""

    plane: ControlPlane
    operator: Measured
    platform: Measured
    metrics_url: str
    watcher: Watcher

    def server_counters(self) -> Requests:
        return operator_counters.requests(self.plane.api.get("/metrics").raise_for_status().text)

    def operator_metrics(self) -> str:
        return httpx2.get(self.metrics_url, timeout=30).raise_for_status().text


@contextmanager
def rig(plane: ControlPlane, folder: Path, *, resync_seconds: float) -> Iterator[Rig]:
    """Operator and platform beside a control plane, until the end of the block."""
    platform, target = start_platform(folder)
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "KUBECONFIG": str(plane.kubeconfig_for_service_account(SYSTEM, "bench")),
        "WORKSPACES_TARGET": target,
        "AUTH_TARGET": target,
        "AIRTABLE_GATEWAY_TARGET": target,
        "HTTP_PORT": str(port),
        "LOG_LEVEL": "WARNING",
        "RESYNC_SECONDS": str(resync_seconds),
        "MAX_CONCURRENT_RECONCILES": str(CONCURRENCY),
    }
    with (folder / "operator.log").open("wb") as log:
        operator = subprocess.Popen([OPERATOR], env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        with Watcher(plane) as watcher:
            running = Rig(plane, Measured(operator), platform, f"http://127.0.0.1:{port}/metrics", watcher)
            eventually(lambda: leads(running), what="a leading operator", seconds=60)
            yield running
    finally:
        for process in (operator, platform.process):
            process.terminate()
            process.wait(30)


def leads(running: Rig) -> bool:
    assert running.operator.process.poll() is None, "the operator has ended: see its log"
    try:
        metrics = running.operator_metrics()
    except httpx2.TransportError:
        return False
    return [value for _, value in operator_counters.samples(metrics, "pyairtable_operator_leader")] == [1.0]


def start_platform(folder: Path) -> tuple[Measured, str]:
    """The stand-in of registry, auth and gateway; where it listens."""
    command = [sys.executable, "-m", "benchmarks.platform_process"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(TESTS)}
    with (folder / "platform.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    with process.stdout as output:
        target = output.readline().decode().strip()
    assert target, (folder / "platform.log").read_text()
    return Measured(process), target


@dataclass
class Watcher:
    """When each Workspace was first seen and first seen Ready, by a watch of our own."""

    plane: ControlPlane
    added: dict[str, float] = field(default_factory=dict)
    ready: dict[str, float] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._api = self.plane.client(self.plane.kubeconfig)
        self._version = "0"
        # Ends with the API server's last answer, which nobody waits for.
        threading.Thread(target=self._run, name="watcher", daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._api.close()

    def _run(self) -> None:
        while not self._api.is_closed:
            # The API server may be away for a while, or we may be at the end.
            with suppress(httpx2.HTTPError, httpx2.StreamError, RuntimeError, OSError):
                self._watch()
            sleep(0.05)

    def _watch(self) -> None:
        query = {"watch": "1", "resourceVersion": self._version, "allowWatchBookmarks": "true"}
        with self._api.stream("GET", WORKSPACES, params=query, timeout=httpx2.Timeout(10, read=90)) as stream:
            stream.raise_for_status()
            for line in stream.iter_lines():
                event = orjson.loads(line)
                self._version = "0" if event["type"] == "ERROR" else event["object"]["metadata"]["resourceVersion"]
                self._see(event["object"], perf_counter())

    def _see(self, body: Body, now: float) -> None:
        name = (body.get("metadata") or {}).get("name", "")
        self.added.setdefault(name, now)
        if name not in self.ready and name and is_current(body):
            self.ready[name] = now
