"""The policies are in nobody's way when a tenant's namespace is really deleted: the cluster's controllers do that."""

from __future__ import annotations

from kubernetes_kit.callers import Body, Requests
from kubernetes_kit.guarded import OPERATOR, tenant_namespace
from kubernetes_kit.wait import eventually

MARKS = {"app.kubernetes.io/managed-by": "pyairtable-operator", "pyairtable.dev/workspace": "gone"}


def managed(kind: str, version: str, name: str, **content: object) -> Body:
    metadata = {"name": name, "namespace": "ws-gone", "labels": MARKS}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def test_a_tenants_namespace_is_deleted_with_all_in_it(requests: Requests) -> None:
    namespace = tenant_namespace("ws-gone", "gone")
    objects = [
        managed("ResourceQuota", "v1", "pyairtable", spec={"hard": {"pods": "1"}}),
        managed("NetworkPolicy", "networking.k8s.io/v1", "pyairtable-default-deny", spec={"podSelector": {}}),
        managed("Secret", "v1", "pyairtable-access", type="Opaque"),
        managed("BaseBinding", "pyairtable.dev/v1alpha1", "crm", spec={"baseId": "app" + "G" * 14}),
    ]
    for body in (namespace, *objects):
        answer = requests.apply(body, OPERATOR, manager="pyairtable-operator", real=True)
        assert answer.accepted, answer.message
    assert requests.delete(namespace, OPERATOR, real=True).accepted
    assert eventually(lambda: requests.get(namespace).status == 404, what="the end of the namespace")
