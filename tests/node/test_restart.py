"""A node that was switched off comes back with its images, its volumes and its pods."""

from uuid import uuid4

import psutil
from kubernetes_kit.node_cluster import NodeCluster, pod, service
from kubernetes_kit.wait import eventually


def test_pods_come_back_after_a_power_cut(cluster: NodeCluster) -> None:
    ns = cluster.namespace(f"restart-{uuid4().hex[:6]}")
    cluster.apply(pod(ns, "door"), pod(ns, "caller"), service(ns, "door"))
    cluster.wait_ready(ns, "door", "caller")
    psutil.Process(cluster.node.sandbox.pid).kill()
    eventually(cluster.node.failure)

    def answers() -> bool:
        cluster.node.revive()  # `cluster up` does so twice a second
        return cluster.run(ns, "caller", "fetch", "http://door").endswith("door")

    eventually(answers, seconds=120)
    restarts = cluster.pod(ns, "door")["status"]["containerStatuses"][0]["restartCount"]
    assert restarts == 1
