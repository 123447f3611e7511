"""Services and names: a pod reaches others by what they are called."""

from functools import partial
from uuid import uuid4

import httpx2
import pytest
from kubernetes_kit.node_cluster import NodeCluster, pod, service
from kubernetes_kit.wait import eventually


@pytest.fixture(scope="module")
def ns(cluster: NodeCluster) -> str:
    name = cluster.namespace(f"services-{uuid4().hex[:6]}")
    node_port = {"name": "http", "port": 80, "targetPort": "http", "nodePort": 30123}
    cluster.apply(
        pod(name, "door"),
        pod(name, "caller"),
        service(name, "door"),
        {**service(name, "door", clusterIP="None"), "metadata": {"namespace": name, "name": "door-pods"}},
        {**service(name, "door", type="NodePort", ports=[node_port]), "metadata": {"namespace": name, "name": "open"}},
        service(name, "nobody"),
    )
    cluster.wait_ready(name, "door", "caller")
    return name


def _answers(cluster: NodeCluster, ns: str, url: str) -> bool:
    return cluster.run(ns, "caller", "fetch", url).endswith("door")


def test_a_service_is_called_by_its_name(cluster: NodeCluster, ns: str) -> None:
    for name in ("door", f"door.{ns}", f"door.{ns}.svc.cluster.local"):
        eventually(partial(_answers, cluster, ns, f"http://{name}"))


def test_a_pod_reaches_itself_through_its_service(cluster: NodeCluster, ns: str) -> None:
    eventually(lambda: cluster.run(ns, "door", "fetch", "http://door").endswith("door"))


def test_a_headless_service_names_its_pods(cluster: NodeCluster, ns: str) -> None:
    eventually(lambda: cluster.run(ns, "caller", "resolve", "door-pods") == cluster.address(ns, "door"))


def test_a_headless_service_notices_new_pods(cluster: NodeCluster, ns: str) -> None:
    cluster.apply(pod(ns, "second", labels={"app": "door"}))
    cluster.wait_ready(ns, "second")
    both = {cluster.address(ns, "door"), cluster.address(ns, "second")}
    eventually(lambda: set(cluster.run(ns, "caller", "resolve", "door-pods").split()) == both)
    cluster.plane.kubectl("delete", "pod", "-n", ns, "second")
    eventually(lambda: cluster.run(ns, "caller", "resolve", "door-pods") == cluster.address(ns, "door"))


def test_a_service_without_pods_refuses_at_once(cluster: NodeCluster, ns: str) -> None:
    eventually(lambda: "refused" in cluster.run(ns, "caller", "call", "nobody:80"))


def test_this_machine_reaches_pods_services_and_node_ports(cluster: NodeCluster, ns: str) -> None:
    found = cluster.plane.api.get(f"/api/v1/namespaces/{ns}/services/door").json()["spec"]["clusterIP"]
    places = [f"{cluster.address(ns, 'door')}:8080", found, f"{cluster.node.network.node}:30123"]
    for place in places:
        assert httpx2.get(f"http://{place}", trust_env=False, timeout=10).text == "door\n"


def test_names_outside_of_the_cluster_are_unknown_at_once(cluster: NodeCluster, ns: str) -> None:
    said = cluster.run(ns, "caller", "resolve", "example.org")
    assert "no such host" in said or "server misbehaving" in said
    assert "timeout" not in said


def test_there_is_no_way_out(cluster: NodeCluster, ns: str) -> None:
    assert "unreachable" in cluster.run(ns, "caller", "call", "192.0.2.1:80")
