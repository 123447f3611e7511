"""A tenant as a test sees it: its Workspace, its credential Secret, and everything the operator makes for it."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
from kubernetes_kit.operator_process import CREDENTIALS_NAMESPACE
from kubernetes_kit.tenants import COLLECTIONS, WORKSPACES, access_key, condition, get, objects
from kubernetes_kit.wait import eventually

Body = dict[str, Any]

MERGE = {"Content-Type": "application/merge-patch+json"}
DOMAIN = "pyairtable.dev"


class Tenant:
    """One workspace with a name of its own. Methods that change something raise on every refusal."""

    def __init__(self, api: httpx2.Client, name: str = "") -> None:
        """Makes nothing yet."""
        self.api = api
        self.name = name or f"t{uuid.uuid4().hex[:10]}"
        self.namespace = f"ws-{self.name}"
        self.secret = f"{self.name}-airtable"
        self.base_id = f"app{uuid.uuid4().hex[:14]}"

    # -- what a platform engineer does

    def spec(self, **changes: Any) -> Body:
        """A spec with one base, an owner and a quota; `changes` replace whole fields."""
        return {
            "displayName": "A tenant",
            "owners": [{"kind": "User", "name": "ada@acme.example"}],
            "airtable": {
                "tokenSecretRef": {"name": self.secret},
                "bases": [{"name": "crm", "baseId": self.base_id}],
            },
            "namespace": {"quota": {"pods": "10"}, "limits": {"cpu": "1"}},
            **changes,
        }

    def create(self, annotations: dict[str, str] | None = None, **changes: Any) -> Body:
        """Creates the Workspace."""
        metadata = {"name": self.name, "annotations": annotations or {}}
        body = {"apiVersion": f"{DOMAIN}/v1alpha1", "kind": "Workspace", "metadata": metadata}
        return _sent(self.api.post(WORKSPACES, json={**body, "spec": self.spec(**changes)}))

    def patch(self, patch: Body) -> Body:
        """Merges a patch into the Workspace."""
        return _sent(self.api.patch(f"{WORKSPACES}/{self.name}", json=patch, headers=MERGE))

    def change(self, **spec: Any) -> Body:
        """Merges changes into the spec."""
        return self.patch({"spec": spec})

    def annotate(self, **annotations: str | None) -> Body:
        """Sets annotations of our domain, with - for _; None takes one off."""
        named = {f"{DOMAIN}/{name.replace('_', '-')}": value for name, value in annotations.items()}
        return self.patch({"metadata": {"annotations": named}})

    def delete(self) -> None:
        """Asks for the deletion of the Workspace."""
        _sent(self.api.delete(f"{WORKSPACES}/{self.name}"))

    def put_token(self, value: str, *, opted_in: str | None = "", key: str = "token") -> str:
        """Writes the credential Secret and returns its version; `opted_in`: another workspace, None: no label."""
        label = {} if opted_in is None else {f"{DOMAIN}/workspace": opted_in or self.name}
        path = f"/api/v1/namespaces/{CREDENTIALS_NAMESPACE}/secrets/{self.secret}"
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.secret, "labels": label},
            "data": {key: base64.b64encode(value.encode()).decode()},
        }
        answer = self.api.put(path, json=body)
        if answer.status_code == 404:
            answer = self.api.post(path.rpartition("/")[0], json=body)
        _sent(answer)
        return version_of(value)

    # -- what there is

    def workspace(self) -> Body:
        """The Workspace as it is; empty when it is gone."""
        return get(self.api, f"{WORKSPACES}/{self.name}")

    def condition(self, kind: str) -> Body:
        """A condition; empty when it is not there."""
        return condition(self.workspace(), kind)

    def status(self) -> Body:
        """The status."""
        found: Body = self.workspace().get("status") or {}
        return found

    def path(self, kind: str, name: str, namespace: str | None = None) -> str:
        """Where an object of the tenant lies."""
        namespace = self.namespace if namespace is None else namespace
        if kind in ("Namespace", "ClusterRole", "ClusterRoleBinding"):
            return f"{COLLECTIONS[kind]}/{name}"
        root, _, plural = COLLECTIONS[kind].rpartition("/")
        return f"{root}/namespaces/{namespace}/{plural}/{name}"

    def get(self, kind: str, name: str) -> Body:
        """An object in the tenant's namespace, or a cluster-scoped one; empty when it is not there."""
        return get(self.api, self.path(kind, name))

    def edit(self, kind: str, name: str, patch: Body) -> Body:
        """Merges a patch into an object, as a person with kubectl would."""
        return _sent(self.api.patch(self.path(kind, name), json=patch, headers=MERGE, params={"fieldManager": "me"}))

    def remove(self, kind: str, name: str) -> None:
        """Deletes an object."""
        _sent(self.api.delete(self.path(kind, name)))

    def add(self, kind: str, body: Body) -> Body:
        """Creates an object in the tenant's namespace."""
        return _sent(self.api.post(self.path(kind, "").rstrip("/"), json={"kind": kind, **body}))

    def objects(self) -> dict[str, Body]:
        """Everything with the workspace's label, by `Kind name`."""
        return {f"{one['kind']} {one['metadata']['name']}": one for one in objects(self.api, self.name)}

    def versions(self) -> dict[str, str]:
        """resourceVersion of everything, the Workspace included."""
        every = {name: one["metadata"]["resourceVersion"] for name, one in self.objects().items()}
        return every | {"Workspace": self.workspace()["metadata"]["resourceVersion"]}

    def key(self) -> str:
        """The access key; empty when there is none."""
        return access_key(self.api, self.namespace)

    # -- waiting

    def wait(self, kind: str = "Ready", status: str = "True", reason: str = "", seconds: float = 60) -> Body:
        """Waits for a condition that is about the spec as it stands, and returns it."""

        def there() -> Body | None:
            body = self.workspace()
            found = condition(body, kind)
            current = found.get("observedGeneration") == body["metadata"]["generation"]
            fits = found.get("status") == status and found.get("reason") == (reason or found.get("reason"))
            assert current and fits, f"{self.name}: {kind} is {found}, all: {_brief(body)}"
            return found

        found = eventually(there, seconds=seconds)
        assert found is not None
        return found

    def wait_gone(self, seconds: float = 60) -> None:
        """Waits until the Workspace is gone."""
        eventually(lambda: not self.workspace(), what=f"the end of workspace {self.name}", seconds=seconds)

    def until(self, true: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        """Waits for anything."""
        return eventually(true, what=f"{what} ({_brief(self.workspace())})", seconds=seconds)


MakeTenant = Callable[..., Tenant]
"""Fixture `make_tenant`: makes a tenant, of a name when one is given, that is deleted when the test is over."""


def version_of(token: str) -> str:
    """Of a credential, as the operator names it."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def _sent(answer: httpx2.Response) -> Body:
    assert answer.status_code < 400, f"{answer.request.method} {answer.request.url}: {answer.text}"
    body: Body = answer.json()
    return body


def _brief(body: Body) -> str:
    conditions = (body.get("status") or {}).get("conditions") or ()
    return ", ".join(f"{one['type']}={one['status']}/{one['reason']}" for one in conditions)
