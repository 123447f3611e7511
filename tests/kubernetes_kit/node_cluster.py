"""A cluster in which pods run, for tests, and pods of one tiny program in it."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes_kit.plane import REPOSITORY, strict
from kubernetes_kit.wait import eventually

from pyairtable_devkit.cluster.control_plane import START_SECONDS, ControlPlane
from pyairtable_devkit.cluster.node.archives import write_archive
from pyairtable_devkit.cluster.node.node import API_SERVER_PORT, Node, require_commands
from pyairtable_devkit.cluster.programs import NODE_PROGRAMS, PROGRAMS, Programs, ProgramsError, find_programs

WORKLOAD = REPOSITORY / "tests" / "node" / "workload"
IMAGE = "docker.io/pyairtable/workload:test"
RESTRICTED = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
Document = Mapping[str, Any]


def require_node_programs() -> Programs:
    """Return the programs of a cluster with a node; without them the test is skipped, and in CI it fails."""
    try:
        require_commands(os.environ, os.geteuid())
        return find_programs(os.environ, [*PROGRAMS, *NODE_PROGRAMS])
    except ProgramsError as error:
        if strict():
            pytest.fail(f"NO NODE TESTS: {error}", pytrace=False)
        pytest.skip(f"NO NODE TESTS: {error}")


def build_workload(folder: Path) -> Path:
    """Compile the pods' program and return its path."""
    go = shutil.which("go")
    if go is None:
        pytest.fail("NO NODE TESTS: the pods' program is compiled with Go, which is not on PATH", pytrace=False)
    built = folder / "workload"
    argv = [go, "-C", str(WORKLOAD), "build", "-trimpath", "-ldflags=-s -w", "-o", str(built), "."]
    done = subprocess.run(argv, env={**os.environ, "CGO_ENABLED": "0"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return built


@dataclass
class NodeCluster:
    """A control plane, its node, and shorthands for what tests do with them."""

    plane: ControlPlane
    node: Node

    def namespace(self, name: str, labels: Mapping[str, str] | None = None) -> str:
        """Make a namespace that takes restricted pods only, wait until pods can be made in it, and return its name."""
        enforced = {"pod-security.kubernetes.io/enforce": "restricted", **(labels or {})}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": enforced}})
        path = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        eventually(lambda: self.plane.api.get(path).is_success)
        return name

    def apply(self, *documents: Document) -> None:
        """Apply objects."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        self.plane.kubectl("apply", "--server-side", "-f", "-", input=text)

    def wait_ready(self, namespace: str, *pods: str) -> None:
        """Wait until pods are ready."""
        named = [f"pod/{pod}" for pod in pods]
        self.plane.kubectl("wait", "--for=condition=Ready", "--timeout=120s", "-n", namespace, *named)

    def run(self, namespace: str, pod: str, *command: str) -> str:
        """Run a command of the pods' program in a pod and return what it prints, whether it failed or not."""
        arguments = ("exec", "-n", namespace, pod, "--", "/workload", *command)
        done = self.plane.kubectl(*arguments, check=False)
        return f"{done.stdout}{done.stderr}".strip()

    def pod(self, namespace: str, name: str) -> Any:
        """Return a pod as the API has it."""
        return self.plane.api.get(f"/api/v1/namespaces/{namespace}/pods/{name}").raise_for_status().json()

    def address(self, namespace: str, name: str) -> str:
        """Return the address of a pod."""
        return str(self.pod(namespace, name)["status"]["podIP"])


def pod(
    namespace: str,
    name: str,
    *command: str,
    labels: Mapping[str, str] | None = None,
    container: Document | None = None,
    spec: Document | None = None,
) -> Document:
    """Return a restricted pod that runs a command of the pods' program; container and spec add to it or replace."""
    ports = [{"name": "http", "containerPort": 8080}, {"name": "grpc", "containerPort": 9090}]
    merged = {
        "name": "main",
        "image": IMAGE,
        "args": list(command) or ["serve", name],
        "securityContext": RESTRICTED,
        "ports": ports,
        **(container or {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": name, **(labels or {})}},
        "spec": {"containers": [merged], "terminationGracePeriodSeconds": 1, **(spec or {})},
    }


def service(namespace: str, name: str, **spec: Any) -> Document:
    """Return a Service for the pods with the label app=NAME."""
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    wanted = {"selector": {"app": name}, "ports": ports, **spec}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": name},
        "spec": wanted,
    }


@contextmanager
def running_node_cluster(folder: Path) -> Iterator[NodeCluster]:
    """Start a cluster with a node and the pods' image in it; nothing of it is left afterwards."""
    found = require_node_programs()
    archive = write_archive(folder / "workload.tar", IMAGE, build_workload(folder))
    node = Node(found, folder=folder / "node", logs=folder / "logs")
    try:
        node.begin()
        _until(node.is_prepared, node)
        plane = ControlPlane(
            found,
            environment=os.environ,
            folder=folder / "plane",
            logs=folder / "logs",
            port=API_SERVER_PORT,
            network=node.network,
        )
        try:
            plane.start()
            node.join(plane)
            _until(node.advance, node)
            node.load(archive)
            yield NodeCluster(plane, node)
        finally:
            plane.close()
    finally:
        node.stop()


def _until(condition: Any, node: Node) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert not node.failure(), node.failure()
        assert time.monotonic() < deadline, f"not ready within {START_SECONDS:.0f} s: see {node.sandbox.logs}"
        time.sleep(0.05)
