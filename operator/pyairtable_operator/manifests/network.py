"""NetworkPolicies of a tenant namespace: nothing in or out but names and the platform's doors.

A cluster whose network plug-in does not know policies accepts and ignores them; condition NetworkIsolated says so.
"""

from __future__ import annotations

from typing import Any

from pyairtable_operator import constants
from pyairtable_operator.manifests.manifest import Manifest, TenantConfig, manifest
from pyairtable_operator.spec import Workspace

DENY = "pyairtable-default-deny"
DNS = "pyairtable-allow-dns"
PLATFORM = "pyairtable-allow-platform"

DOORS = (8000, 8001, 8002, 9000, 9001, 9002)
"""Ports of api-gateway, mcp-server and airtable-gateway, which ask every caller for a key."""


def policies(workspace: Workspace, config: TenantConfig) -> list[Manifest]:
    """None when the spec turns them off."""
    if workspace.spec.namespace.network_policy == "Off":
        return []
    dns = _egress(config.dns_namespace, dict(config.dns_labels), [("UDP", 53), ("TCP", 53)])
    doors = _egress(
        config.platform_namespace, {constants.PART_OF_LABEL: constants.PART_OF}, [("TCP", port) for port in DOORS]
    )
    # Empty lists are said, so that a rule that somebody added to the policy is taken back.
    deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []}
    return [
        _policy(workspace, DENY, deny),
        _policy(workspace, DNS, dns),
        _policy(workspace, PLATFORM, doors),
    ]


def _policy(workspace: Workspace, name: str, spec: dict[str, Any]) -> Manifest:
    return manifest(workspace, "networking.k8s.io/v1", "NetworkPolicy", name, {"spec": spec})


def _egress(namespace: str, pod_labels: dict[str, str], ports: list[tuple[str, int]]) -> dict[str, Any]:
    peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": pod_labels},
    }
    allowed = [{"protocol": protocol, "port": port} for protocol, port in ports]
    return {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "ingress": [],
        "egress": [{"to": [peer], "ports": allowed}],
    }
