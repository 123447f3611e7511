"""NetworkPolicies hold: for who is selected, from his first packet on, and as they change."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from kubernetes_kit.node_cluster import Document, NodeCluster, pod, service
from kubernetes_kit.wait import eventually

REFUSED = "no route to host"
DNS = {
    "to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}],
}


def _policy(ns: str, name: str, selector: Mapping[str, str], **spec: Any) -> Document:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": ns, "name": name},
        "spec": {"podSelector": {"matchLabels": selector}, **spec},
    }


@pytest.fixture
def ns(cluster: NodeCluster) -> str:
    """A namespace with a door, a friend and a stranger."""
    name = cluster.namespace(f"policies-{uuid4().hex[:6]}")
    cluster.apply(pod(name, "door"), pod(name, "friend"), pod(name, "stranger"), service(name, "door"))
    cluster.wait_ready(name, "door", "friend", "stranger")
    return name


def _may(cluster: NodeCluster, ns: str, caller: str, address: str) -> bool:
    said = cluster.run(ns, caller, "call", address)
    assert said == "open" or REFUSED in said, said
    return said == "open"


def _has_ended(cluster: NodeCluster, ns: str, name: str) -> bool:
    return cluster.pod(ns, name)["status"]["phase"] in ("Failed", "Succeeded")


def test_ingress_is_for_those_named(cluster: NodeCluster, ns: str) -> None:
    door = f"{cluster.address(ns, 'door')}:8080"
    assert _may(cluster, ns, "stranger", door)
    friends = [{"podSelector": {"matchLabels": {"app": "friend"}}}]
    rules = [{"from": friends, "ports": [{"port": "http"}]}]
    cluster.apply(_policy(ns, "door", {"app": "door"}, policyTypes=["Ingress"], ingress=rules))
    eventually(lambda: not _may(cluster, ns, "stranger", door))
    assert _may(cluster, ns, "friend", door)
    assert not _may(cluster, ns, "friend", f"{cluster.address(ns, 'door')}:9090")
    eventually(lambda: cluster.run(ns, "friend", "fetch", "http://door").endswith("door"))  # by the Service as well
    cluster.plane.kubectl("label", "pod", "-n", ns, "stranger", "app=friend", "--overwrite")
    eventually(lambda: _may(cluster, ns, "stranger", door))
    cluster.plane.kubectl("delete", "networkpolicy", "-n", ns, "door")
    eventually(lambda: _may(cluster, ns, "friend", f"{cluster.address(ns, 'door')}:9090"))


def test_egress_is_to_those_named_and_names_still_work(cluster: NodeCluster, ns: str) -> None:
    other = cluster.namespace(f"others-{uuid4().hex[:6]}", {"who": "others"})
    cluster.apply(pod(other, "far"))
    cluster.wait_ready(other, "far")
    far, door = f"{cluster.address(other, 'far')}:8080", f"{cluster.address(ns, 'door')}:8080"
    to_door = {"to": [{"podSelector": {"matchLabels": {"app": "door"}}}], "ports": [{"port": 8080}]}
    cluster.apply(_policy(ns, "friend", {"app": "friend"}, policyTypes=["Egress"], egress=[DNS, to_door]))
    eventually(lambda: not _may(cluster, ns, "friend", far))
    assert _may(cluster, ns, "stranger", far)
    assert _may(cluster, ns, "friend", door)
    eventually(lambda: cluster.run(ns, "friend", "fetch", "http://door").endswith("door"))
    # Neither the API server, nor the kubelet of the node.
    assert not _may(cluster, ns, "friend", f"{cluster.node.network.host}:6443")
    assert not _may(cluster, ns, "friend", f"{cluster.node.network.node}:10250")
    by_namespace = {"to": [{"namespaceSelector": {"matchLabels": {"who": "others"}}}]}
    cluster.apply(_policy(ns, "abroad", {"app": "friend"}, policyTypes=["Egress"], egress=[by_namespace]))
    eventually(lambda: _may(cluster, ns, "friend", far))


def test_a_pod_is_held_from_its_first_packet_on(cluster: NodeCluster, ns: str) -> None:
    door = f"{cluster.address(ns, 'door')}:8080"
    cluster.apply(_policy(ns, "nowhere", {"kind": "hasty"}, policyTypes=["Egress"]))
    names = [f"hasty-{number}" for number in range(6)]
    once: dict[str, Any] = {"labels": {"kind": "hasty"}, "spec": {"restartPolicy": "Never"}}
    cluster.apply(*(pod(ns, name, "call", door, **once) for name in names))
    for name in names:
        eventually(partial(_has_ended, cluster, ns, name), seconds=90)
        assert REFUSED in cluster.plane.kubectl("logs", "-n", ns, name).stdout


def test_probes_reach_pods_that_nobody_may_call(cluster: NodeCluster, ns: str) -> None:
    cluster.apply(_policy(ns, "closed", {"app": "closed"}, policyTypes=["Ingress", "Egress"]))
    probe = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}
    cluster.apply(pod(ns, "closed", container={"readinessProbe": probe}))
    cluster.wait_ready(ns, "closed")
    assert not _may(cluster, ns, "friend", f"{cluster.address(ns, 'closed')}:8080")


def test_rules_are_those_of_now_after_the_enforcer_was_started_anew(cluster: NodeCluster, ns: str) -> None:
    door = f"{cluster.address(ns, 'door')}:8080"
    cluster.apply(_policy(ns, "door", {"app": "door"}, policyTypes=["Ingress"]))
    eventually(lambda: not _may(cluster, ns, "friend", door))
    cluster.node.sandbox.run("pkill", "-KILL", "-f", "cluster.node.agent")
    assert not _may(cluster, ns, "friend", door)  # the rules stay while it is away
    cluster.plane.kubectl("delete", "networkpolicy", "-n", ns, "door")
    eventually(lambda: _may(cluster, ns, "friend", door))
