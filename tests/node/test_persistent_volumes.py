"""What a claim holds outlives the pods that use it, and ends with the claim."""

from uuid import uuid4

from kubernetes_kit.node_cluster import Document, NodeCluster, pod
from kubernetes_kit.wait import eventually


def _claim(ns: str) -> Document:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}}
    metadata = {"namespace": ns, "name": "data"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def _user(ns: str, name: str) -> Document:
    mounted = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    return pod(ns, name, container=mounted, spec={"volumes": volumes, "securityContext": {"fsGroup": 4711}})


def test_data_outlive_their_pods_and_end_with_the_claim(cluster: NodeCluster) -> None:
    ns = cluster.namespace(f"volumes-{uuid4().hex[:6]}")
    cluster.apply(_claim(ns), _user(ns, "first"))
    cluster.wait_ready(ns, "first")
    assert cluster.run(ns, "first", "write", "/data/file", "kept") == ""
    cluster.plane.kubectl("delete", "pod", "-n", ns, "first")
    cluster.apply(_user(ns, "second"))
    cluster.wait_ready(ns, "second")
    assert cluster.run(ns, "second", "read", "/data/file") == "kept"
    (folder,) = cluster.node.layout.volumes.iterdir()
    assert (folder / "file").read_text() == "kept"
    cluster.plane.kubectl("delete", "pod,pvc", "-n", ns, "--all")
    eventually(lambda: not folder.exists())
    eventually(lambda: cluster.plane.api.get("/api/v1/persistentvolumes").json()["items"] == [])
