"""kind-config.yaml, read by kind itself (built from tools/kind). The container engine is a script that notes orders."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from kubernetes_kit.plane import strict
from unit.devkit.support import REPOSITORY

from pyairtable_devkit.cluster.building import build
from pyairtable_devkit.cluster.cluster_parts import kind_configuration
from pyairtable_devkit.cluster.programs import Program
from pyairtable_devkit.topology import MAILBOX_PORT, SERVICES

pytestmark = pytest.mark.slow

KIND = Program("kind", "kind", "sigs.k8s.io/kind", "sigs.k8s.io/kind")
WRITTEN = (REPOSITORY / "kind-config.yaml").read_text()
ENGINE = """#!/bin/sh
echo "$@" >> "$ORDERS"
case "$1" in
  info) echo '{"CgroupDriver": "cgroupfs", "CgroupVersion": "2", "MemoryLimit": true, "PidsLimit": true}';;
  run) exit 1;; # far enough
esac
"""


@pytest.fixture(scope="module")
def kind() -> Path:
    """kind, built once into the cache."""
    if shutil.which("go") is None:
        (pytest.fail if strict() else pytest.skip)("NO KIND: it is built with Go, which is not on PATH")
    return build(KIND, os.environ, lambda _: None)


def _create(kind: Path, folder: Path, configuration: str) -> tuple[str, str]:
    """Have kind create a cluster; return what it says, and how it orders the node's container."""
    engine, orders = folder / "docker", folder / "orders"
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    (folder / "config.yaml").write_text(configuration)
    told: Mapping[str, str] = {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder), "ORDERS": str(orders)}
    argv = [str(kind), "create", "cluster", "--config", str(folder / "config.yaml")]
    argv += ["--kubeconfig", str(folder / "kubeconfig")]
    told = {**told, "KIND_EXPERIMENTAL_PROVIDER": "docker"}
    done = subprocess.run(argv, env=told, capture_output=True, text=True, check=False, timeout=120)
    lines = orders.read_text().splitlines() if orders.exists() else []
    return done.stderr, next((line for line in lines if line.startswith("run ")), "")


def _published(order: str) -> dict[int, int]:
    """Return the ports of the node's container by those of this machine; all must be on its loopback address."""
    found = re.findall(r"--publish=(\S+):(\d+):(\d+)/TCP", order)
    assert {address for address, _, _ in found} == {"127.0.0.1"}
    return {int(host): int(container) for _, host, container in found}


def test_kind_takes_it_and_opens_the_ports_of_the_platform(kind: Path, tmp_path: Path) -> None:
    published = _published(_create(kind, tmp_path, WRITTEN)[1])
    assert published.pop(16443) == 6443
    ports = {port for service in SERVICES for port in (service.http_port, service.grpc_port)} | {MAILBOX_PORT}
    assert published == {port: port + 22000 for port in ports}


def test_kind_takes_what_is_made_of_it(kind: Path, tmp_path: Path) -> None:
    moved = kind_configuration(WRITTEN, api_port=17000, port_offset=100, mappings=True)
    published = _published(_create(kind, tmp_path, moved)[1])
    assert (published[17000], published[8100], published[9100]) == (6443, 30000, 31000)


def test_kind_would_not_take_a_field_that_is_not_one(kind: Path, tmp_path: Path) -> None:
    said, order = _create(kind, tmp_path, WRITTEN.replace("hostPort: 8000", "hostPorts: 8000"))
    assert "field hostPorts not found" in said
    assert order == ""
