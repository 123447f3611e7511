"""The kinds of objects that the operator reads and writes, and their places in the Kubernetes API."""

from __future__ import annotations

from dataclasses import dataclass

from pyairtable_operator.constants import API_VERSION


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind and its place in the API."""

    name: str
    api_version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The path of an object, or of a collection when `name` is empty (all namespaces when that is empty too)."""
        root = f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"
        parts = [root]
        if namespace and self.namespaced:
            parts.append(f"namespaces/{namespace}")
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)


_RBAC = "rbac.authorization.k8s.io/v1"

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("Workspace", API_VERSION, "workspaces", namespaced=False),
        Kind("BaseBinding", API_VERSION, "basebindings"),
        Kind("Namespace", "v1", "namespaces", namespaced=False),
        Kind("ResourceQuota", "v1", "resourcequotas"),
        Kind("LimitRange", "v1", "limitranges"),
        Kind("ServiceAccount", "v1", "serviceaccounts"),
        Kind("Secret", "v1", "secrets"),
        Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
        Kind("Role", _RBAC, "roles"),
        Kind("RoleBinding", _RBAC, "rolebindings"),
        Kind("ClusterRole", _RBAC, "clusterroles", namespaced=False),
        Kind("ClusterRoleBinding", _RBAC, "clusterrolebindings", namespaced=False),
        Kind("Lease", "coordination.k8s.io/v1", "leases"),
        Kind("Event", "events.k8s.io/v1", "events"),
    )
}
"""By the name that stands in `kind`."""

MANAGED_KINDS = (
    "ResourceQuota",
    "LimitRange",
    "ServiceAccount",
    "NetworkPolicy",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
)
"""Kinds that are watched by our label; Namespaces, Secrets and our own kinds have watches of another cut."""
