"""A cluster with the chart's roles and admission policies, two tenants, and people and programs who try things."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import yaml
from kubernetes_kit.callers import Body, Caller, Requests, service_account
from kubernetes_kit.plane import REPOSITORY
from kubernetes_kit.wait import eventually
from kubernetes_kit.workspace_cases import base, base_id, workspace

from pyairtable_devkit.cluster.control_plane import ControlPlane
from pyairtable_operator.manifests import TenantConfig, access_secret, binding_objects, tenant_objects
from pyairtable_operator.spec import parse_workspace

SYSTEM = "pyairtable-system"
PLAIN = "nobodys"
"""A namespace that is no tenant's."""

OWNER = Caller("ada@acme.example")
OTHER_OWNER = Caller("bob@beta.example")
DEFAULT_ACCOUNT = service_account("ws-acme", "default")
APP = service_account("ws-acme", "pyairtable-app")
OPERATOR = service_account(SYSTEM, "pyairtable-operator")
WORKSPACES = service_account(SYSTEM, "pyairtable-workspaces")
"""The workspace service, which makes Workspaces for people who call it."""
VIEWER = Caller("vera@platform.example")
NAMESPACE_ADMIN = Caller("nina@platform.example")
"""May do everything with all that is guarded, by RBAC, but update Workspaces: whatever stops her is a policy."""
WORKSPACE_ADMIN = Caller("willy@platform.example")
"""As she, and may update Workspaces."""
ACME_ADMIN = Caller("anna@acme.example")
"""As she, and may update the Workspace acme."""
COLLECTOR = service_account("kube-system", "generic-garbage-collector")

TENANT_BASE, SHARED_BASE, ACME_BASE, BETA_BASE = base_id(10), base_id(11), base_id(1), base_id(2)

_QUOTA = {"pods": "20", "requests.cpu": "4"}
_LIMITS = {"cpu": "100m", "memory": "64Mi"}
ACME = workspace(
    "acme",
    {
        "owners": [{"kind": "User", "name": OWNER.user}],
        "airtable": {"bases": [base(1, name="crm")], "tenantBases": [TENANT_BASE, SHARED_BASE]},
        "namespace": {"quota": _QUOTA, "limits": _LIMITS},
    },
)
BETA = workspace(
    "beta",
    {
        "owners": [{"kind": "User", "name": OTHER_OWNER.user}],
        "airtable": {"bases": [base(2, name="crm")], "tenantBases": [SHARED_BASE]},
        "namespace": {"quota": _QUOTA, "limits": _LIMITS},
    },
)

CHART_PARTS = ("admission", "roles", "service-roles", "operator/rbac")


@dataclass(frozen=True)
class Guarded:
    """The cluster, and what the operator made in it."""

    plane: ControlPlane
    requests: Requests
    managed: dict[str, list[Body]]
    """By workspace: everything that the operator makes, as applied."""

    def only(self, name: str, kind: str, called: str = "") -> Body:
        """An object of a workspace."""
        return next(
            one for one in self.managed[name] if one["kind"] == kind and called in ("", one["metadata"]["name"])
        )


def chart(plane: ControlPlane) -> list[Body]:
    """What the chart makes for admission and access, as helm renders it."""
    folder = REPOSITORY / "charts" / "pyairtable"
    parts = [option for part in CHART_PARTS for option in ("--show-only", f"templates/{part}.yaml")]
    values = ("--namespace", SYSTEM, "--values", folder / "values-demo.yaml")
    text = plane.helm("template", "pyairtable", folder, *values, *parts).stdout
    return [body for body in yaml.safe_load_all(text) if body]


def guarded_cluster(plane: ControlPlane) -> Guarded:
    """Install the chart's guards and make two tenants as the operator makes them."""
    requests = Requests(plane.api)
    store(
        requests, [namespace(SYSTEM), namespace("pyairtable-credentials"), namespace(PLAIN), *people(), *chart(plane)]
    )
    eventually(lambda: in_force(requests), what="the policies")
    managed = {document["metadata"]["name"]: make_tenant(requests, document) for document in (ACME, BETA)}
    eventually(lambda: all(has_account(requests, f"ws-{name}") for name in managed), what="default accounts")
    return Guarded(plane, requests, managed)


def make_tenant(requests: Requests, document: Body) -> list[Body]:
    """Store a Workspace and its objects: by the operator's account, with the operator's rights and manifests."""
    stored = requests.create(document, real=True)
    assert stored.accepted, stored.message
    parsed, config = parse_workspace(stored.body), TenantConfig(platform_namespace=SYSTEM)
    secret = access_secret(parsed, "pya_none.not-a-real-key", {}, config)
    manifests = [*tenant_objects(parsed, config), *binding_objects(parsed), secret]
    bodies = [dict(manifest.body) for manifest in manifests]
    for body in bodies:
        eventually(partial(applied, requests, body), seconds=20, what=f"{body['kind']} by the operator")
    return bodies


def applied(requests: Requests, body: Body) -> bool:
    """Apply as the operator does; the API server may need a moment to see a namespace's label or a right."""
    answer = requests.apply(body, OPERATOR, manager="pyairtable-operator", real=True)
    assert answer.accepted, answer.message
    return True


def store(requests: Requests, bodies: list[Body]) -> None:
    """Create objects as the administrator."""
    for body in bodies:
        metadata = body["metadata"]
        if body["kind"] in ("Role", "RoleBinding") and "namespace" not in metadata:
            metadata["namespace"] = SYSTEM
        answer = requests.create(body, real=True)
        assert answer.accepted or answer.status == 409, answer.message


def in_force(requests: Requests) -> bool:
    """Whether every policy works by now: each has a request that nobody else would refuse."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "planted", "namespace": PLAIN}}
    marked = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "marked",
            "namespace": PLAIN,
            "labels": {"app.kubernetes.io/managed-by": "pyairtable-operator", "pyairtable.dev/workspace": "acme"},
        },
    }
    free = {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "BaseBinding",
        "metadata": {"name": "free", "namespace": PLAIN},
        "spec": {"baseId": TENANT_BASE},
    }
    refused = [
        requests.create(marked, NAMESPACE_ADMIN),
        requests.create(free),
        requests.create(tenant_namespace("taken", "acme"), NAMESPACE_ADMIN),
        requests.create(namespace("kube-x"), OPERATOR),
        requests.create(workspace("unlabelled", {}), WORKSPACES),
    ]
    assert all("ValidatingAdmissionPolicy" in answer.message for answer in refused), [one.message for one in refused]
    assert not requests.create(secret, OPERATOR).accepted
    return True


def has_account(requests: Requests, name: str) -> bool:
    """Whether a namespace has its default account, without which no pod can be made."""
    return requests.get(account(name, "default")).accepted


def namespace(name: str, **labels: str) -> Body:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def tenant_namespace(name: str, owner: str) -> Body:
    """A namespace with a workspace's label."""
    body = namespace(name)
    return {**body, "metadata": {**body["metadata"], "labels": {"pyairtable.dev/workspace": owner}}}


def account(inside: str, name: str) -> Body:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": inside}}


def people() -> list[Body]:
    """The platform's people and their rights."""
    guarded = [
        rule(["", "apps", "networking.k8s.io"], ["*"], ["*"]),
        rule(["rbac.authorization.k8s.io"], ["*"], ["*"]),
        rule(["pyairtable.dev"], ["basebindings", "basebindings/status", "workspaces/status"], ["*"]),
        rule(["pyairtable.dev"], ["workspaces"], ["get", "list", "watch"]),
    ]
    update = ["update", "patch", "create", "delete"]
    return [
        *grant("namespace-admin", guarded, NAMESPACE_ADMIN, WORKSPACE_ADMIN, ACME_ADMIN),
        *grant("workspace-admin", [rule(["pyairtable.dev"], ["workspaces"], update)], WORKSPACE_ADMIN),
        *grant(
            "acme-admin", [{**rule(["pyairtable.dev"], ["workspaces"], update), "resourceNames": ["acme"]}], ACME_ADMIN
        ),
        cluster_binding("viewer", "pyairtable-viewer", VIEWER),
        cluster_binding("view", "view", VIEWER),
    ]


def rule(groups: list[str], resources: list[str], verbs: list[str]) -> Body:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


def grant(name: str, rules: list[Body], *callers: Caller) -> list[Body]:
    """A cluster role for people."""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": f"try-{name}"}}
    return [{**role, "rules": rules}, cluster_binding(name, f"try-{name}", *callers)]


def cluster_binding(name: str, role: str, *callers: Caller) -> Body:
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": caller.user} for caller in callers]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"try-{name}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": subjects,
    }


def policy_refused(answer: Any, *words: str) -> bool:
    """Whether an admission policy of ours said no, and with these words."""
    return (
        answer.status == 403
        and "ValidatingAdmissionPolicy 'pyairtable-" in answer.message
        and all(word in answer.message for word in words)
    )
