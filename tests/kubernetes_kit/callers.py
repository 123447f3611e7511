"""Requests to the API server over HTTP, as any user: quick enough for one per rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

Body = dict[str, Any]

PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Node": "/api/v1/nodes",
    "PersistentVolume": "/api/v1/persistentvolumes",
    "ConfigMap": "/api/v1/{}configmaps",
    "LimitRange": "/api/v1/{}limitranges",
    "Pod": "/api/v1/{}pods",
    "ResourceQuota": "/api/v1/{}resourcequotas",
    "Secret": "/api/v1/{}secrets",
    "Service": "/api/v1/{}services",
    "ServiceAccount": "/api/v1/{}serviceaccounts",
    "Deployment": "/apis/apps/v1/{}deployments",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/{}networkpolicies",
    "Role": "/apis/rbac.authorization.k8s.io/v1/{}roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/{}rolebindings",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "ValidatingAdmissionPolicy": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
    "Workspace": "/apis/pyairtable.dev/v1alpha1/workspaces",
    "BaseBinding": "/apis/pyairtable.dev/v1alpha1/{}basebindings",
}
"""Address of each kind's collection; {} stands for `namespaces/NAME/`."""


@dataclass(frozen=True)
class Caller:
    """Who asks; without a name the administrator (group system:masters)."""

    user: str = ""
    groups: tuple[str, ...] = ()

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Impersonation; the API server adds the groups that every user or ServiceAccount is in."""
        named = [("Impersonate-User", self.user)] if self.user else []
        return named + [("Impersonate-Group", group) for group in self.groups]


ADMIN = Caller()


def service_account(namespace: str, name: str) -> Caller:
    """A program in the cluster."""
    return Caller(f"system:serviceaccount:{namespace}:{name}")


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    status: int
    body: Body

    @property
    def accepted(self) -> bool:
        """Whether it did what was asked."""
        return self.status < 300

    @property
    def message(self) -> str:
        """Why it did not; empty when it did."""
        return "" if self.accepted else str(self.body.get("message", self.body))


def path_of(body: Body, subresource: str = "") -> str:
    """Address of an object."""
    path = f"{collection(body['kind'], body['metadata'].get('namespace', ''))}/{body['metadata']['name']}"
    return f"{path}/{subresource}" if subresource else path


def collection(kind: str, namespace: str = "") -> str:
    """Address of all objects of a kind in a namespace, or everywhere."""
    return PATHS[kind].format(f"namespaces/{namespace}/" if namespace else "")


@dataclass(frozen=True)
class Requests:
    """Writes to the API server; none of them changes anything unless `real`."""

    api: httpx2.Client

    def create(self, body: Body, caller: Caller = ADMIN, *, real: bool = False) -> Answer:
        """As `kubectl create`."""
        return self.send(
            "POST", collection(body["kind"], body["metadata"].get("namespace", "")), caller, body, real=real
        )

    def replace(self, body: Body, caller: Caller = ADMIN, *, subresource: str = "", real: bool = False) -> Answer:
        """As `kubectl replace`; no resourceVersion is needed."""
        return self.send("PUT", path_of(body, subresource), caller, body, real=real)

    def merge(
        self, body: Body, patch: Body, caller: Caller = ADMIN, *, subresource: str = "", real: bool = False
    ) -> Answer:
        """As `kubectl patch --type=merge` on the object."""
        kind = "application/merge-patch+json"
        return self.send("PATCH", path_of(body, subresource), caller, patch, real=real, content_type=kind)

    def json_patch(self, body: Body, steps: list[Body], caller: Caller = ADMIN, *, real: bool = False) -> Answer:
        """As `kubectl patch --type=json` on the object."""
        kind = "application/json-patch+json"
        return self.send("PATCH", path_of(body), caller, steps, real=real, content_type=kind)

    def apply(
        self,
        body: Body,
        caller: Caller = ADMIN,
        *,
        manager: str = "somebody",
        subresource: str = "",
        real: bool = False,
    ) -> Answer:
        """As `kubectl apply --server-side --force-conflicts`."""
        kind = "application/apply-patch+yaml"
        query = {"fieldManager": manager, "force": "true"}
        return self.send("PATCH", path_of(body, subresource), caller, body, real=real, content_type=kind, query=query)

    def delete(self, body: Body, caller: Caller = ADMIN, *, real: bool = False) -> Answer:
        """As `kubectl delete`."""
        return self.send("DELETE", path_of(body), caller, None, real=real)

    def get(self, body: Body, caller: Caller = ADMIN) -> Answer:
        """The object as it is."""
        return self.send("GET", path_of(body), caller, None, real=True)

    def send(
        self,
        method: str,
        path: str,
        caller: Caller,
        body: Any,
        *,
        real: bool,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any request."""
        options = {} if method in ("GET", "DELETE") else {"fieldValidation": "Strict"}
        options |= {} if real else {"dryRun": "All"}
        headers = [*caller.headers, ("Content-Type", content_type)]
        arguments = {} if body is None else {"json": body}
        answer = self.api.request(method, path, params={**options, **(query or {})}, headers=headers, **arguments)
        return Answer(answer.status_code, answer.json())
