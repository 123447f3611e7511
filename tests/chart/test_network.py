"""NetworkPolicies: who reaches whom, as a table worked out from the rendered policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from chart_kit.rendering import NAMESPACE, Body, component, identity, of_kind, pod_templates, rendered

TENANT = {"pyairtable.dev/workspace": "acme", "kubernetes.io/metadata.name": "ws-acme"}
OUTSIDE: Mapping[str, str] = {"kubernetes.io/metadata.name": "elsewhere"}


def matches(selector: Body | None, labels: Mapping[str, str]) -> bool:
    """A label selector, as far as the chart uses it; none matches nothing."""
    if selector is None:
        return False
    exists = [one["key"] for one in selector.get("matchExpressions", ()) if one["operator"] == "Exists"]
    return selector.get("matchLabels", {}).items() <= labels.items() and all(key in labels for key in exists)


def admits(name: str, target: str, pod: Mapping[str, str], namespace: Mapping[str, str] | None = None) -> bool:
    """Whether a pod may call a component: its labels, and those of its namespace when it is not the platform's."""
    labels = pods(name)[target]
    for policy in of_kind(rendered(name), "NetworkPolicy"):
        if not matches(policy["spec"]["podSelector"], labels):
            continue
        for rule in policy["spec"].get("ingress", ()):
            if any(is_peer(peer, pod, namespace) for peer in rule["from"]):
                return True
    return False


def is_peer(peer: Body, pod: Mapping[str, str], namespace: Mapping[str, str] | None) -> bool:
    if namespace is None:
        return "namespaceSelector" not in peer and matches(peer.get("podSelector"), pod)
    return matches(peer.get("namespaceSelector"), namespace) and matches(peer.get("podSelector", {}), pod)


def pods(name: str) -> dict[str, Mapping[str, str]]:
    """Labels of the pods of every component."""
    templates = pod_templates(rendered(name)).values()
    return {
        template["metadata"]["labels"]["app.kubernetes.io/component"]: template["metadata"]["labels"]
        for template in templates
    }


def reaches(name: str, caller: str) -> set[str]:
    """Components that the policies let a component call: egress and ingress both."""
    found, labels = set(), pods(name)[caller]
    for policy in of_kind(rendered(name), "NetworkPolicy"):
        if not matches(policy["spec"]["podSelector"], labels):
            continue
        for rule in policy["spec"].get("egress", ()):
            for peer in rule.get("to", ()):
                if "namespaceSelector" not in peer and "podSelector" in peer:
                    found |= {other for other, its in pods(name).items() if matches(peer["podSelector"], its)}
    return {target for target in found if admits(name, target, labels)}


DEMO_PARTS = {f"demo-{part}" for part in ("postgres", "valkey", "airtable", "gemini", "mailbox")}
CALLS = {
    "api-gateway": {
        *("workspaces", "airtable-gateway", "mcp-server", "llm-orchestrator", "users", "sagas", "auth", "demo-valkey")
    },
    "mcp-server": {"airtable-gateway", "auth"},
    "airtable-gateway": {"workspaces", "auth", "demo-postgres", "demo-valkey", "demo-airtable", "demo-gemini"},
    "llm-orchestrator": {"workspaces", "mcp-server", "auth", "demo-postgres", "demo-airtable", "demo-gemini"},
    "auth": {"workspaces", "users", "demo-postgres", "demo-valkey", "demo-mailbox"},
    "users": {"auth", "workspaces", "llm-orchestrator", "sagas", "demo-postgres", "demo-valkey"},
    "workspaces": {"auth", "sagas", "airtable-gateway", "demo-postgres", "demo-valkey"},
    "sagas": {"auth", "users", "workspaces", "airtable-gateway", "llm-orchestrator", "demo-postgres", "demo-valkey"},
    "operator": {"workspaces", "auth", "airtable-gateway"},
    "cleanup": set(),
    "test": {"api-gateway"},
    **{part: set[str]() for part in DEMO_PARTS},
}


def test_components_reach_what_they_call_and_nothing_else() -> None:
    assert {caller: reaches("demo", caller) for caller in pods("demo")} == CALLS


def test_components_let_their_callers_in_and_nobody_else() -> None:
    """Ingress by itself: an egress rule too many elsewhere must not be enough."""
    labels = pods("demo")
    for target in set(labels) - DEMO_PARTS:
        callers = {caller for caller, called in CALLS.items() if target in called}
        assert {caller for caller in labels if admits("demo", target, labels[caller])} == callers, target


def test_every_pod_is_behind_the_default() -> None:
    default = next(
        policy
        for policy in of_kind(rendered("demo"), "NetworkPolicy")
        if policy["metadata"]["name"].endswith("-default-deny")
    )
    assert default["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in default["spec"]
    for labels in pods("demo").values():
        assert matches(default["spec"]["podSelector"], labels)


def test_tenants_reach_the_doors_only() -> None:
    app = {"app": "anything"}
    opened = {target for target in pods("demo") if admits("demo", target, app, TENANT)}
    assert opened == {"api-gateway", "mcp-server", "airtable-gateway"}
    assert not [target for target in pods("demo") if admits("demo", target, app, OUTSIDE)]


def test_the_ingress_controller_reaches_what_is_exposed_and_metrics_are_collected_everywhere() -> None:
    def opened(namespace: str) -> set[str]:
        return {
            target
            for target in pods("everything")
            if admits("everything", target, {}, {"kubernetes.io/metadata.name": namespace})
        }

    assert opened("ingress") == {"api-gateway", "mcp-server", "airtable-gateway"}
    services = set(pods("everything")) - {"migrations", "cleanup", "test"}
    assert opened("monitoring") == services


def test_external_servers_are_called_at_the_given_addresses_only() -> None:
    def blocks(service: str) -> set[tuple[str, int]]:
        policies = of_kind(rendered("everything"), "NetworkPolicy")
        policy = next(policy for policy in policies if component(policy) == service)
        return {
            (peer["ipBlock"]["cidr"], port["port"])
            for rule in policy["spec"]["egress"]
            for peer in rule.get("to", ())
            if "ipBlock" in peer
            for port in rule["ports"]
        }

    stored = {("10.1.0.0/24", 5432), ("10.1.1.0/24", 6379)}
    kubernetes = {("10.96.0.1/32", 443), ("10.96.0.1/32", 6443)}
    assert blocks("airtable-gateway") == {*stored, *kubernetes, ("0.0.0.0/0", 443)}
    assert blocks("auth") == {*stored, *kubernetes, ("10.1.2.0/24", 465)}
    assert blocks("workspaces") == {*stored, *kubernetes}
    assert blocks("users") == blocks("sagas") == stored


@pytest.mark.parametrize("name", ["demo", "everything"])
def test_ports_of_policies_are_those_of_pods(name: str) -> None:
    """A policy names ports of containers, by name or number; a misspelt one would close the door."""
    ports: dict[str, dict[str, int]] = {}
    for template in pod_templates(rendered(name)).values():
        its = template["metadata"]["labels"]["app.kubernetes.io/component"]
        listed: list[dict[str, Any]] = template["spec"]["containers"][0].get("ports", [])
        ports[its] = {port["name"]: port["containerPort"] for port in listed}
    for policy in of_kind(rendered(name), "NetworkPolicy"):
        for rule in policy["spec"].get("ingress", ()):
            for port in rule["ports"]:
                assert port["port"] in ports[component(policy)], identity(policy)
        for rule in policy["spec"].get("egress", ()):
            for peer in rule.get("to", ()):
                target = peer.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/component")
                if target:
                    assert {port["port"] for port in rule["ports"]} <= set(ports[target].values()), identity(policy)


def test_namespaced_peers_are_of_this_namespace() -> None:
    for policy in of_kind(rendered("demo"), "NetworkPolicy"):
        assert policy["metadata"]["namespace"] == NAMESPACE
