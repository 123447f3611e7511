"""The commands that `cluster up` prints, taken one after the other, on the whole system beside a control plane."""

import base64
import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from integration.demo.running import RunningCommand, start
from kubernetes_kit.plane import require_programs
from kubernetes_kit.wait import eventually
from unit.devkit.support import REPOSITORY

from pyairtable_devkit.cluster.programs import Programs

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Cluster:
    """The running command, and kubectl for its cluster."""

    running: RunningCommand
    programs: Programs
    environment: Mapping[str, str]

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        argv = [str(self.programs["kubectl"]), *arguments]
        done = subprocess.run(argv, cwd=REPOSITORY, env=dict(self.environment), capture_output=True, text=True)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """`cluster up` with everything, on ports of its own."""
    programs, folder = require_programs(), tmp_path_factory.mktemp("cluster")
    running = start(folder / "data", "cluster", "up", "--provider", "built")
    told = {"KUBECONFIG": str(folder / "data" / "kubeconfig"), "KUBECACHEDIR": str(folder / "cache")}
    try:
        running.wait_for("The cluster stays up")
        yield Cluster(running, programs, {**os.environ, **told})
    finally:
        running.interrupt()
    assert [entry.name for entry in (folder / "data").iterdir()] == ["logs"]


def _access(cluster: Cluster) -> dict[str, str]:
    """Return what a tenant's pods get into their environment."""
    data = cluster.get("secret", "pyairtable-access", "-n", "ws-acme")["data"]
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


def _status_of_bases(access: Mapping[str, str], key: str) -> int:
    url, headers = f"{access['PYAIRTABLE_REST_URL']}/bases", {"authorization": f"Bearer {key}"}
    return httpx2.get(url, headers=headers, timeout=60, trust_env=False).status_code


def _commands_of_the_readme() -> list[list[str]]:
    """Return what the README tells to type after `make cluster`, without the word kubectl."""
    block = (REPOSITORY / "README.md").read_text().partition("make cluster ")[2].partition("```")[0]
    return [shlex.split(line)[1:] for line in block.splitlines() if line.startswith("kubectl ")]


def test_a_workspace_becomes_ready_and_its_key_opens_the_doors_until_it_is_suspended(cluster: Cluster) -> None:
    told = [cluster.kubectl(*command) for command in _commands_of_the_readme()]
    assert len(told) == 4
    assert "condition met" in told[1]
    columns = cluster.kubectl("get", "pws", "acme", "--no-headers").split()
    assert columns[:5] == ["acme", "True", "Ready", "ws-acme", "1/1"]

    access = _access(cluster)
    key = access["PYAIRTABLE_API_KEY"]
    assert _status_of_bases(access, key) == 200
    assert _status_of_bases(access, key[:-1] + ("a" if key[-1] != "a" else "b")) == 401

    cluster.kubectl("patch", "pws", "acme", "--type=merge", "-p", '{"spec": {"suspend": true}}')
    eventually(lambda: _status_of_bases(access, key) in (401, 403), what="its refusal")
    cluster.kubectl("patch", "pws", "acme", "--type=merge", "-p", '{"spec": {"suspend": false}}')
    eventually(lambda: _status_of_bases(_access(cluster), key) == 200, what="the key to work again")


def test_the_processes_take_the_key_of_the_charts_secret_and_nobody_without_one(cluster: Cluster) -> None:
    data = cluster.get("secret", "pyairtable-keys", "-n", "pyairtable-system")["data"]
    named = cluster.get("deployment", "pyairtable-auth", "-n", "pyairtable-system")["spec"]["template"]["spec"]
    entries = named["containers"][0]["env"]
    secrets = {one["name"]: one["valueFrom"].get("secretKeyRef", {}).get("name") for one in entries}
    assert secrets["API_KEY"] == secrets["JWT_SECRET"] == "pyairtable-keys"
    url = f"http://127.0.0.1:{8000 + cluster.running.port_offset}/api/workspaces"
    key = {"x-api-key": base64.b64decode(data["API_KEY"]).decode()}
    assert httpx2.get(url, headers=key, timeout=60, trust_env=False).status_code == 200
    assert httpx2.get(url, timeout=60, trust_env=False).status_code == 401


def test_a_deleted_workspace_goes_and_takes_its_key_along(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", "examples/acme/")
    cluster.kubectl("wait", "pws/acme", "--for=condition=Ready", "--timeout=60s")
    access = _access(cluster)
    cluster.kubectl("delete", "pws", "acme", "--timeout=60s")
    # 404 first: the registry has forgotten the workspace while the door still remembers whose key it was.
    eventually(lambda: _status_of_bases(access, access["PYAIRTABLE_API_KEY"]) in (401, 403, 404), what="its refusal")
