"""What a workspace looks like from outside: all of its objects, with everything taken out that differs between runs."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import orjson

Body = dict[str, Any]

LABEL = "pyairtable.dev/workspace"
WORKSPACES = "/apis/pyairtable.dev/v1alpha1/workspaces"
COLLECTIONS = {
    "Namespace": "/api/v1/namespaces",
    "ResourceQuota": "/api/v1/resourcequotas",
    "LimitRange": "/api/v1/limitranges",
    "ServiceAccount": "/api/v1/serviceaccounts",
    "Secret": "/api/v1/secrets",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/networkpolicies",
    "Role": "/apis/rbac.authorization.k8s.io/v1/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "BaseBinding": "/apis/pyairtable.dev/v1alpha1/basebindings",
}
"""Every kind of object that a workspace has."""

OF_THE_SERVER = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
VOLATILE = ("hash", "appliedAt", "keyId", "lastVerifiedAt", "observedGeneration")
"""Fields of a status that name a key, a uid or a time: equal in meaning, different in every run."""


def get(api: httpx2.Client, path: str, **query: str) -> Body:
    """One object or list; an object that is not there is empty."""
    answer = api.get(path, params=query)
    if answer.status_code == 404:
        return {}
    answer.raise_for_status()
    body: Body = orjson.loads(answer.content)
    return body


def objects(api: httpx2.Client, workspace: str) -> Iterator[Body]:
    """Everything that carries the workspace's label (credential Secrets left out), kind set."""
    for kind, path in COLLECTIONS.items():
        for item in get(api, path, labelSelector=f"{LABEL}={workspace}").get("items") or ():
            if "app.kubernetes.io/managed-by" in item["metadata"]["labels"] or kind == "BaseBinding":
                yield {"kind": kind, **item}


def end_state(api: httpx2.Client, workspace: str, namespace: str = "") -> dict[str, Any]:
    """The workspace and its objects by `Kind namespace/name`, comparable between runs and workspaces.

    `namespace` is added when it is there, though it may have lost its label (Retain).
    """
    found = {name_of(one): normalised(one) for one in objects(api, workspace)}
    if namespace:
        for kind in ("Namespace", "ResourceQuota", "LimitRange", "NetworkPolicy"):
            for one in left_in(api, kind, namespace):
                found[name_of(one)] = normalised(one)
    own = get(api, f"{WORKSPACES}/{workspace}")
    if own:
        found["Workspace"] = normalised({"kind": "Workspace", **own})
    text = orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode()
    result: dict[str, Any] = orjson.loads(TIME.sub("<time>", text.replace(workspace, "<workspace>")))
    return result


def left_in(api: httpx2.Client, kind: str, namespace: str) -> Iterator[Body]:
    """Objects of a namespace whatever their labels; the namespace itself for its own kind."""
    if kind == "Namespace":
        one = get(api, f"{COLLECTIONS[kind]}/{namespace}")
        if one:
            yield {"kind": kind, **one}
        return
    for item in get(api, COLLECTIONS[kind], fieldSelector=f"metadata.namespace={namespace}").get("items") or ():
        yield {"kind": kind, **item}


def name_of(body: Body) -> str:
    """`Kind namespace/name`."""
    metadata = body["metadata"]
    return f"{body['kind']} {metadata.get('namespace', '')}/{metadata['name']}"


def normalised(body: Body) -> Body:
    """An object without what the server made up, without times, key material and uids."""
    metadata = {name: value for name, value in body["metadata"].items() if name not in OF_THE_SERVER}
    metadata["annotations"] = {
        name: "<set>" if name not in ("pyairtable.dev/adopted", "pyairtable.dev/adopt-by") else value
        for name, value in (metadata.get("annotations") or {}).items()
    }
    result = {**body, "metadata": metadata}
    if body["kind"] == "Secret":
        result["data"] = sorted(body.get("data") or {})
    if body["kind"] in ("Workspace", "BaseBinding"):
        result["status"] = without(body.get("status") or {}, VOLATILE)
    elif body["kind"] != "Namespace":
        result.pop("status", None)
    return result


def without(value: Any, names: tuple[str, ...]) -> Any:
    """A value without the fields of these names, at any depth."""
    if isinstance(value, dict):
        return {name: without(one, names) for name, one in value.items() if name not in names}
    return [without(one, names) for one in value] if isinstance(value, list) else value


def access_key(api: httpx2.Client, namespace: str) -> str:
    """The access key that a tenant holds; empty when there is none."""
    secret = get(api, f"/api/v1/namespaces/{namespace}/secrets/pyairtable-access")
    data = secret.get("data") or {}
    return base64.b64decode(data.get("PYAIRTABLE_API_KEY", "")).decode()


def sha256(key: str) -> str:
    """As the platform is told it."""
    return hashlib.sha256(key.encode()).hexdigest()


def condition(body: Body, kind: str) -> Body:
    """A condition of a status; empty when it is not there."""
    found = [one for one in (body.get("status") or {}).get("conditions") or () if one["type"] == kind]
    return found[0] if found else {}


def is_current(body: Body, kind: str = "Ready", status: str = "True") -> bool:
    """Whether a condition has this status and is about the spec as it stands."""
    one = condition(body, kind)
    return one.get("status") == status and one.get("observedGeneration") == body["metadata"]["generation"]
