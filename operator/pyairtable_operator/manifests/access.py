"""Who may do what: the tenant's ServiceAccount, and the owners' rights in the namespace and on their Workspace."""

from __future__ import annotations

from typing import Any

from pyairtable_operator import constants
from pyairtable_operator.manifests.manifest import Manifest, manifest
from pyairtable_operator.spec import Owner, Workspace

APP = "pyairtable-app"
"""ServiceAccount of the tenant's programs."""

OWNER_ROLE = "pyairtable-owner"
OWNER_BINDING = "pyairtable-owners"

_RBAC = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]
_ALL = [*_READ, "create", "update", "patch", "delete", "deletecollection"]

OWNER_RULES: list[dict[str, Any]] = [
    {
        "apiGroups": [""],
        "resources": [
            "configmaps", "persistentvolumeclaims", "pods", "podtemplates", "replicationcontrollers",
            "replicationcontrollers/scale", "secrets", "serviceaccounts", "services",
        ],
        "verbs": _ALL,
    },
    {"apiGroups": [""], "resources": ["pods/attach", "pods/exec", "pods/portforward"], "verbs": ["get", "create"]},
    {"apiGroups": [""], "resources": ["pods/ephemeralcontainers"], "verbs": ["get", "update", "patch"]},
    {"apiGroups": [""], "resources": ["pods/eviction", "serviceaccounts/token"], "verbs": ["create"]},
    {
        "apiGroups": [""],
        # Endpoints are read only: who writes them can send traffic to another namespace (CVE-2021-25740).
        "resources": ["endpoints", "events", "limitranges", "pods/log", "pods/status", "resourcequotas"],
        "verbs": _READ,
    },
    {
        "apiGroups": ["apps"],
        "resources": [
            "daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets",
            "statefulsets/scale",
        ],
        "verbs": _ALL,
    },
    {"apiGroups": ["apps"], "resources": ["controllerrevisions"], "verbs": _READ},
    {"apiGroups": ["batch"], "resources": ["cronjobs", "jobs"], "verbs": _ALL},
    {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": _ALL},
    {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": _ALL},
    {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "networkpolicies"], "verbs": _ALL},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": _ALL},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": _READ},
    # The API server lets owners grant no more than they hold, so these cannot be a way out.
    {"apiGroups": [_RBAC], "resources": ["rolebindings", "roles"], "verbs": _ALL},
    {"apiGroups": [constants.GROUP], "resources": ["basebindings"], "verbs": _ALL},
    {"apiGroups": [constants.GROUP], "resources": ["basebindings/status"], "verbs": ["get"]},
]  # fmt: skip
"""Rights of an owner in his namespace. The operator must hold all of them to grant them (the chart's ClusterRole).

No verb on Namespace, none but reading on ResourceQuota and LimitRange: that is what holds a tenant.
"""


def service_account(workspace: Workspace) -> Manifest:
    """Without a token in pods that do not ask for one."""
    return manifest(workspace, "v1", "ServiceAccount", APP, {"automountServiceAccountToken": False})


def owner_rights(workspace: Workspace) -> list[Manifest]:
    """Role and binding in the namespace, and the right to read the own Workspace; nothing without owners."""
    if not workspace.spec.owners:
        return []
    subjects = [_subject(owner) for owner in workspace.spec.owners]
    cluster_name = cluster_role_name(workspace)
    own = {
        "apiGroups": [constants.GROUP],
        "resources": ["workspaces"],
        "resourceNames": [workspace.name],
        "verbs": ["get"],
    }
    return [
        _rbac(workspace, "Role", OWNER_ROLE, {"rules": OWNER_RULES}),
        _rbac(workspace, "RoleBinding", OWNER_BINDING, _binding("Role", OWNER_ROLE, subjects)),
        _rbac(workspace, "ClusterRole", cluster_name, {"rules": [own]}, namespace=""),
        _rbac(
            workspace,
            "ClusterRoleBinding",
            cluster_name,
            _binding("ClusterRole", cluster_name, subjects),
            namespace="",
        ),
    ]


def cluster_role_name(workspace: Workspace) -> str:
    """Of the ClusterRole and its binding."""
    return f"pyairtable:workspace:{workspace.name}"


def _rbac(
    workspace: Workspace, kind: str, name: str, content: dict[str, Any], namespace: str | None = None
) -> Manifest:
    return manifest(workspace, f"{_RBAC}/v1", kind, name, content, namespace=namespace)


def _binding(kind: str, name: str, subjects: list[dict[str, str]]) -> dict[str, Any]:
    return {"roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name}, "subjects": subjects}


def _subject(owner: Owner) -> dict[str, str]:
    if owner.kind == "ServiceAccount":
        return {"kind": owner.kind, "name": owner.name, "namespace": owner.namespace}
    return {"apiGroup": _RBAC, "kind": owner.kind, "name": owner.name}
