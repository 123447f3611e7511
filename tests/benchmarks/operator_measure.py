"""What is measured of the operator: the flood, the idle minutes, single workspaces, a restart of the API server."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
from benchmarks import bare_loop, operator_counters
from benchmarks.operator_cluster import CONCURRENCY, CREDENTIALS, SYSTEM, TESTS, Rig
from benchmarks.operator_counters import OURS, READS, WRITES, Requests
from kubernetes_kit.tenants import COLLECTIONS, WORKSPACES, get, objects
from kubernetes_kit.wait import eventually

from pyairtable_devkit.cluster.control_plane import ControlPlane

Body = dict[str, Any]


def workspace(name: str) -> Body:
    """A tenant as a platform team declares it: an owner, a base, a quota, limits."""
    return {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "Workspace",
        "metadata": {"name": name},
        "spec": {
            "displayName": f"Workspace {name}",
            "owners": [{"kind": "User", "name": f"{name}@example.com"}],
            "airtable": {
                "tokenSecretRef": {"name": f"{name}-airtable"},
                "bases": [{"name": "crm", "baseId": base_id(name), "default": True}],
            },
            "namespace": {"quota": {"pods": "20", "requests.cpu": "2"}, "limits": {"cpu": "500m", "memory": "512Mi"}},
        },
    }


def base_id(name: str) -> str:
    """A base of its own for each workspace; letters and digits of the name, filled up."""
    return "app" + "".join(letter for letter in name if letter.isalnum())[-14:].rjust(14, "0")


def credential(name: str) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"{name}-airtable",
            "namespace": CREDENTIALS,
            "labels": {"pyairtable.dev/workspace": name},
        },
        "stringData": {"token": f"patBenchmark.not-a-real-token-of-{name}"},
    }


def kubectl_apply(plane: ControlPlane, bodies: Sequence[Body]) -> float:
    """`kubectl apply --server-side` of many; seconds."""
    started = time.perf_counter()
    document = orjson.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}).decode()
    plane.kubectl("apply", "--server-side", "-f", "-", input=document)
    return time.perf_counter() - started


def flood(rig: Rig, number: int) -> Body:
    """Many workspaces at once, from `kubectl apply` until the last is Ready."""
    names = [f"load-{index:04}" for index in range(number)]
    kubectl_apply(rig.plane, [credential(name) for name in names])
    before, own_before = rig.server_counters(), operator_counters.operator_calls(rig.operator_metrics())
    cpu = rig.operator.cpu_seconds(), rig.platform.cpu_seconds()
    started = time.perf_counter()
    applying = kubectl_apply(rig.plane, [workspace(name) for name in names])
    eventually(lambda: all(name in rig.watcher.ready for name in names), what="all Ready", seconds=60 + number * 2)
    seconds = max(rig.watcher.ready[name] for name in names) - started
    cpu_after = rig.operator.cpu_seconds(), rig.platform.cpu_seconds()
    settle(rig)
    counted = rig.server_counters() - before
    own = operator_counters.operator_calls(rig.operator_metrics()) - own_before
    waited = [(rig.watcher.ready[name] - rig.watcher.added[name]) * 1000 for name in names]
    return {
        "workspaces": number,
        "seconds": seconds,
        "kubectl_seconds": applying,
        "ready_ms": quantiles(waited),
        "operator_cpu_seconds": cpu_after[0] - cpu[0],
        "platform_cpu_seconds": cpu_after[1] - cpu[1],
        "writes_per_workspace": writes_of(own) / number,
        "reads_per_workspace": reads_of(own) / number,
        "operator_calls": operator_counters.table(own),
        "server_requests": operator_counters.table(counted),
    }


def writes_of(own: Requests) -> int:
    """The operator's writes, without its Lease and its Events."""
    reads = ("get", "list", "watch")
    return operator_counters.total(own, lambda verb, kind, _: verb not in reads and kind not in ("Lease", "Event"))


def reads_of(own: Requests) -> int:
    """The operator's reads of single objects and lists."""
    return operator_counters.total(own, lambda verb, kind, _: verb in ("get", "list") and kind != "Lease")


def settle(rig: Rig, *, seconds: float = 3) -> None:
    """Wait until nobody has written for a while: the controllers of Kubernetes finish after us."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < seconds:
        now = operator_counters.of_tenants(rig.server_counters(), WRITES)
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.5)


def idle(rig: Rig, seconds: float) -> Body:
    """A time in which nobody does anything: requests about tenants' objects as the API server counts them."""
    before, own_before = rig.server_counters(), operator_counters.operator_calls(rig.operator_metrics())
    cpu, started = rig.operator.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    counted = rig.server_counters() - before
    own = operator_counters.operator_calls(rig.operator_metrics()) - own_before
    return {
        "minutes": (time.monotonic() - started) / 60,
        "writes": operator_counters.of_tenants(counted, WRITES),
        "reads": operator_counters.of_tenants(counted, READS),
        "operator_writes": writes_of(own),
        "operator_reads": reads_of(own),
        "operator_cpu_share": (rig.operator.cpu_seconds() - cpu) / (time.monotonic() - started),
        "operator_calls": operator_counters.table(own),
        "server_requests": {
            name: value
            for name, value in operator_counters.table(counted).items()
            if name.split(" ")[1].split("/")[0] in OURS
        },
    }


def single(rig: Rig, number: int) -> Body:
    """One workspace after the other on an idle system: milliseconds from our request to the event that says Ready."""
    waited = []
    for index in range(number):
        name = f"single-{index:04}"
        kubectl_apply(rig.plane, [credential(name)])
        time.sleep(0.2)
        waited.append(until_ready(rig, name) * 1000)
    return quantiles(waited)


def until_ready(rig: Rig, name: str) -> float:
    """Make one workspace; seconds from sending the request until a watch says Ready."""
    started = time.perf_counter()
    rig.plane.api.post(WORKSPACES, json=workspace(name)).raise_for_status()
    eventually(lambda: name in rig.watcher.ready, what=f"{name} Ready", seconds=120)
    return rig.watcher.ready[name] - started


def restart(rig: Rig) -> Body:
    """The API server killed and started again: seconds until a new workspace is Ready, from when it answers."""
    kubectl_apply(rig.plane, [credential("restarted")])
    own_before = operator_counters.operator_calls(rig.operator_metrics())
    started = time.perf_counter()
    rig.plane.restart_apiserver(hard=True)
    away = time.perf_counter() - started
    seconds = until_ready(rig, "restarted")
    settle(rig)
    own = operator_counters.operator_calls(rig.operator_metrics()) - own_before
    assert rig.operator.process.poll() is None, "the operator ended with the API server"
    return {
        "away_seconds": away,
        "ready_seconds": seconds,
        "writes": writes_of(own),
        "lists": operator_counters.total(own, lambda verb, _kind, _status: verb == "list"),
        "operator_calls": operator_counters.table(own),
    }


def objects_of_one(plane: ControlPlane, name: str) -> list[Body]:
    """What a bare loop has to apply for the same workspace: the Workspace and all that was made for it."""
    own = get(plane.api, f"{WORKSPACES}/{name}")
    made = [bare_loop.plain(one, one["kind"]) for one in objects(plane.api, name)]
    assert {one["kind"] for one in made} == set(COLLECTIONS), "the workspace of the load lacks a kind of object"
    return [bare_loop.plain(own, "Workspace"), *made]


def referee(plane: ControlPlane, template: Sequence[Body], source: str, number: int) -> Body:
    """The bare loop, a process of its own, on a fresh control plane without an operator."""
    config = plane.kubeconfig_for_service_account(SYSTEM, "bench")
    groups = [list(for_name(template, source, f"bare-{index:04}")) for index in range(number)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bare_loop", str(config), str(CONCURRENCY)],
        input=orjson.dumps(groups),
        env={"PYTHONPATH": str(TESTS), "PATH": str(Path(sys.executable).parent)},
        stdout=subprocess.PIPE,
        check=True,
    )
    result: Body = orjson.loads(done.stdout)
    return result | {"objects_per_second": result["objects"] / result["seconds"]}


def for_name(template: Sequence[Body], source: str, name: str) -> Iterator[Body]:
    """The template's objects for another workspace; base ids differ as names do."""
    yield from bare_loop.renamed(bare_loop.renamed(template, base_id(source), base_id(name)), source, name)


def quantiles(values: list[float]) -> Body:
    """Median, 99th percentile and greatest of some samples."""
    ordered = sorted(values)
    return {
        "p50": statistics.median(ordered),
        "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
        "max": ordered[-1],
        "samples": len(ordered),
    }
