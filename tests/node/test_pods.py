"""Pods live in the node as in any other: started, probed, looked at, limited, ended."""

import json
import socket
import subprocess
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from kubernetes_kit.node_cluster import RESTRICTED, NodeCluster, pod
from kubernetes_kit.wait import eventually

from pyairtable_devkit.ports import free_port


@pytest.fixture(scope="module")
def ns(cluster: NodeCluster) -> str:
    return cluster.namespace(f"pods-{uuid4().hex[:6]}")


def _status(cluster: NodeCluster, ns: str, name: str) -> Mapping[str, Any]:
    """Return the status of a pod's container; empty before there is one."""
    statuses = cluster.pod(ns, name)["status"].get("containerStatuses") or [{}]
    return dict(statuses[0])


def test_the_node_is_one_that_people_expect(cluster: NodeCluster) -> None:
    (node,) = json.loads(cluster.plane.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.3"
    assert node["spec"]["podCIDR"] == str(cluster.node.network.pods)
    version = json.loads(cluster.plane.kubectl("version", "-o", "json").stdout)["serverVersion"]
    assert version["gitVersion"] == "v1.36.3"


def test_a_restricted_pod_runs_and_is_looked_at(cluster: NodeCluster, ns: str) -> None:
    cluster.apply(pod(ns, "door"))
    cluster.wait_ready(ns, "door")
    eventually(lambda: "serving" in cluster.plane.kubectl("logs", "-n", ns, "door").stdout)
    assert cluster.run(ns, "door", "lines", "one", "two") == "one\ntwo"
    failed = cluster.plane.kubectl("exec", "-n", ns, "door", "--", "/workload", "read", "/none", check=False)
    assert failed.returncode == 1
    assert "read-only file system" in cluster.run(ns, "door", "write", "/file", "text")
    usual = cluster.pod(ns, "door")["spec"]["containers"][0]["securityContext"]
    assert usual == RESTRICTED


def test_a_port_is_forwarded(cluster: NodeCluster, ns: str) -> None:
    cluster.apply(pod(ns, "forwarded", "serve", "through the wall"))
    cluster.wait_ready(ns, "forwarded")
    port = free_port()
    argv = [str(cluster.plane.programs["kubectl"]), "port-forward", "-n", ns, "pod/forwarded", f"{port}:8080"]
    with subprocess.Popen(argv, env=cluster.plane.env, stdout=subprocess.PIPE, text=True) as forwarding:
        try:
            assert forwarding.stdout is not None
            assert "Forwarding" in forwarding.stdout.readline()
            assert httpx2.get(f"http://127.0.0.1:{port}", trust_env=False).text == "through the wall\n"
        finally:
            forwarding.terminate()


@pytest.mark.parametrize(
    ("kind", "probe"),
    [
        ("http", {"httpGet": {"path": "/", "port": "http"}}),
        ("grpc", {"grpc": {"port": 9090}}),
        ("exec", {"exec": {"command": ["/workload", "lines", "well"]}}),
    ],
)
def test_probes_that_hold(cluster: NodeCluster, ns: str, kind: str, probe: Mapping[str, Any]) -> None:
    probes = {"startupProbe": probe, "readinessProbe": probe, "livenessProbe": probe}
    cluster.apply(pod(ns, f"probed-{kind}", container=probes))
    cluster.wait_ready(ns, f"probed-{kind}")


def test_a_pod_that_is_not_alive_is_started_again(cluster: NodeCluster, ns: str) -> None:
    dead = {"httpGet": {"path": "/", "port": 1}, "periodSeconds": 1, "failureThreshold": 1}
    cluster.apply(pod(ns, "dead", container={"livenessProbe": dead}))
    eventually(lambda: _status(cluster, ns, "dead").get("restartCount", 0) > 0, seconds=90)


def test_a_pod_that_is_not_ready_says_so(cluster: NodeCluster, ns: str) -> None:
    unready = {"grpc": {"port": 1}, "periodSeconds": 1}
    cluster.apply(pod(ns, "unready", container={"readinessProbe": unready}))
    eventually(lambda: _status(cluster, ns, "unready").get("started"))
    assert _status(cluster, ns, "unready")["ready"] is False


def test_a_pod_acts_as_its_service_account(cluster: NodeCluster, ns: str) -> None:
    cluster.apply(pod(ns, "asker"))
    cluster.wait_ready(ns, "asker")
    said = cluster.run(ns, "asker", "api", f"/api/v1/namespaces/{ns}/secrets")
    assert said.startswith("403")
    assert f"system:serviceaccount:{ns}:default" in said


def test_volumes_are_there_and_shared(cluster: NodeCluster, ns: str) -> None:
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": ns, "name": "told"}, "data": {"a": "1"}}
    mounts = [
        {"name": "disk", "mountPath": "/disk"},
        {"name": "memory", "mountPath": "/memory"},
        {"name": "told", "mountPath": "/told"},
    ]
    volumes = [
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
        {"name": "told", "configMap": {"name": "told"}},
    ]
    spec = {"volumes": volumes, "securityContext": {"fsGroup": 4711}}
    cluster.apply(data, pod(ns, "writer", container={"volumeMounts": mounts}, spec=spec))
    cluster.wait_ready(ns, "writer")
    for folder in ("/disk", "/memory"):
        assert cluster.run(ns, "writer", "write", f"{folder}/file", "kept") == ""
        assert cluster.run(ns, "writer", "read", f"{folder}/file") == "kept"
    assert cluster.run(ns, "writer", "read", "/told/a") == "1"


def test_who_eats_too_much_is_killed(cluster: NodeCluster, ns: str) -> None:
    limits = {"resources": {"limits": {"memory": "40Mi", "cpu": "200m"}}}
    cluster.apply(pod(ns, "eater", "eat", "200", container=limits, spec={"restartPolicy": "Never"}))

    def reason() -> str:
        return str(_status(cluster, ns, "eater").get("state", {}).get("terminated", {}).get("reason", ""))

    assert eventually(reason) == "OOMKilled"


def test_an_image_that_is_missing_is_told_soon(cluster: NodeCluster, ns: str) -> None:
    cluster.apply(pod(ns, "imageless", container={"image": "docker.io/pyairtable/none:1"}))

    def reason() -> str:
        return str(_status(cluster, ns, "imageless").get("state", {}).get("waiting", {}).get("reason", ""))

    eventually(lambda: reason() in ("ErrImagePull", "ImagePullBackOff"), seconds=60)


def test_a_pod_is_asked_to_end_before_it_is_killed(cluster: NodeCluster, ns: str) -> None:
    cluster.apply(pod(ns, "leaver", spec={"terminationGracePeriodSeconds": 30}))
    cluster.wait_ready(ns, "leaver")
    argv = [str(cluster.plane.programs["kubectl"]), "logs", "-f", "-n", ns, "leaver"]
    with subprocess.Popen(argv, env=cluster.plane.env, stdout=subprocess.PIPE, text=True) as following:
        cluster.plane.kubectl("delete", "pod", "-n", ns, "leaver", "--wait=true")
        assert "told to end" in following.communicate(timeout=60)[0]


def test_a_deployment_is_rolled_out_and_heals(cluster: NodeCluster, ns: str) -> None:
    template = pod(ns, "many")
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "many"}},
        "template": {"metadata": {"labels": {"app": "many"}}, "spec": template["spec"]},
    }
    metadata = {"namespace": ns, "name": "many"}
    cluster.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    cluster.plane.kubectl("rollout", "status", "-n", ns, "deployment/many", "--timeout=120s")
    cluster.plane.kubectl("delete", "pod", "-n", ns, "-l", "app=many", "--wait=false")
    cluster.plane.kubectl("rollout", "status", "-n", ns, "deployment/many", "--timeout=120s")


def test_the_node_starts_anew_what_ends(cluster: NodeCluster, ns: str) -> None:
    cluster.node.sandbox.run("pkill", "-KILL", "-x", "kubelet")
    cluster.apply(pod(ns, "after"))
    cluster.wait_ready(ns, "after")


def test_nothing_of_the_node_is_open_to_the_network_of_this_machine(cluster: NodeCluster) -> None:
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 10250)) != 0
