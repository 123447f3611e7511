"""NetworkPolicies become the packet filter's rules as the API's documentation says."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pyairtable_devkit.cluster.node.network import Network
from pyairtable_devkit.cluster.node.policy_rules import Pod, World, matches, pod_from, render

HOST = Network(0).host
DOOR = Pod("shop", "door", "10.244.0.2", {"app": "door"}, {"http": ("tcp", 8000)})
STORE = Pod("shop", "store", "10.244.0.3", {"app": "store"}, {"http": ("tcp", 9000), "dns": ("udp", 53)})
GUEST = Pod("guests", "ann", "10.244.0.4", {"app": "store"}, {})
NAMESPACES = {"shop": {"team": "shop"}, "guests": {"team": "guests"}}
Rule = Mapping[str, Any]


def _policy(spec: Rule, namespace: str = "shop") -> Rule:
    return {"metadata": {"name": "one", "namespace": namespace}, "spec": {"podSelector": {}, **spec}}


def _chain(text: str, name: str) -> list[str]:
    """Return the rules of a chain; raises ValueError when there is none."""
    lines = [line.strip() for line in text.splitlines()]
    begin = lines.index(f"chain {name} {{")
    return lines[begin + 1 : lines.index("}", begin)]


def _rules(direction: str, rules: Sequence[Rule], pod: Pod = DOOR) -> list[str]:
    spec = {"podSelector": {"matchLabels": pod.labels}, "policyTypes": [direction], direction.lower(): rules}
    text = render(World(Network(0), [DOOR, STORE, GUEST], [_policy(spec)], NAMESPACES))
    *allowed, refused = _chain(text, f"{direction.lower()}_{pod.address.replace('.', '_')}")
    assert refused == "reject with icmp type admin-prohibited"
    return allowed


def test_without_policies_everybody_may_call_everybody() -> None:
    text = render(World(Network(0), [DOOR, STORE], [], NAMESPACES))
    assert "reject" not in text
    assert "vmap" not in text


def test_rules_replace_those_before_in_one_step() -> None:
    text = render(World(Network(0), [], [], {}))
    assert text.startswith("table ip pyairtable-policies\ndelete table ip pyairtable-policies\ntable ip")


def test_a_policy_isolates_the_pods_it_selects_in_the_directions_it_names() -> None:
    selected = {"podSelector": {"matchLabels": {"app": "store"}}, "policyTypes": ["Ingress", "Egress"]}
    text = render(World(Network(0), [DOOR, STORE, GUEST], [_policy(selected)], NAMESPACES))
    assert _chain(text, "ingress_10_244_0_3") == ["reject with icmp type admin-prohibited"]
    assert "ip saddr vmap { 10.244.0.3 : jump egress_10_244_0_3 }" in _chain(text, "forward")
    assert "ip saddr vmap { 10.244.0.3 : jump egress_10_244_0_3 }" in _chain(text, "input")
    assert "10_244_0_2" not in text
    assert "10_244_0_4" not in text  # same label, another namespace


@pytest.mark.parametrize(
    ("spec", "chains"),
    [
        ({"ingress": []}, {"ingress"}),
        ({"egress": [{}]}, {"ingress", "egress"}),
        ({"policyTypes": ["Egress"]}, {"egress"}),
    ],
)
def test_directions_that_are_not_named_follow_from_the_rules(spec: Rule, chains: set[str]) -> None:
    text = render(World(Network(0), [DOOR], [_policy(spec)], NAMESPACES))
    assert {kind for kind in ("ingress", "egress") if f"chain {kind}_" in text} == chains


def test_this_machine_and_answers_come_through() -> None:
    forward = _chain(render(World(Network(0), [], [], {})), "forward")
    assert forward[1:] == ["ct state established,related accept", f"ip saddr {HOST} accept"]


@pytest.mark.parametrize(
    ("peer", "sources"),
    [
        ({"podSelector": {"matchLabels": {"app": "store"}}}, "{ 10.244.0.3 }"),
        ({"namespaceSelector": {"matchLabels": {"team": "guests"}}}, "{ 10.244.0.4 }"),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "store"}}}, "{ 10.244.0.3, 10.244.0.4 }"),
        ({"podSelector": {}}, "{ 10.244.0.2, 10.244.0.3 }"),
        ({"ipBlock": {"cidr": "10.9.0.0/16"}}, "{ 10.9.0.0/16 }"),
        (
            {"ipBlock": {"cidr": "10.9.0.0/16", "except": ["10.9.1.0/24"]}},
            "{ 10.9.0.0/16 } ip saddr != { 10.9.1.0/24 }",
        ),
    ],
)
def test_peers(peer: Rule, sources: str) -> None:
    assert _rules("Ingress", [{"from": [peer]}]) == [f"ip saddr {sources} return"]


def test_several_peers_may_all_call() -> None:
    peers = [{"podSelector": {"matchLabels": {"app": "store"}}}, {"ipBlock": {"cidr": "10.9.0.0/16"}}]
    assert _rules("Ingress", [{"from": peers}]) == [
        "ip saddr { 10.244.0.3 } return",
        "ip saddr { 10.9.0.0/16 } return",
    ]


def test_a_rule_without_peers_is_for_anybody_and_one_whose_peers_are_nobody_for_none() -> None:
    assert _rules("Ingress", [{}]) == ["return"]
    assert _rules("Ingress", [{"from": [{"podSelector": {"matchLabels": {"app": "nobody"}}}]}]) == []


@pytest.mark.parametrize(
    ("port", "match"),
    [
        ({"port": 8000}, "tcp dport 8000"),
        ({"port": 53, "protocol": "UDP"}, "udp dport 53"),
        ({"port": 8000, "endPort": 8010}, "tcp dport 8000-8010"),
        ({"port": "http"}, "tcp dport 8000"),
        ({"protocol": "UDP"}, "ip protocol udp"),
    ],
)
def test_ports(port: Rule, match: str) -> None:
    assert _rules("Ingress", [{"ports": [port]}]) == [f"{match} return"]


def test_a_named_port_is_that_of_the_called_pod() -> None:
    assert _rules("Ingress", [{"ports": [{"port": "dns"}]}]) == []  # the door has none of that name
    assert _rules("Ingress", [{"ports": [{"port": "dns"}]}], STORE) == []  # it is UDP there
    to_all = [{"to": [{"podSelector": {}}], "ports": [{"port": "http"}]}]
    assert _rules("Egress", to_all) == [
        "ip daddr { 10.244.0.2 } tcp dport 8000 return",
        "ip daddr { 10.244.0.3 } tcp dport 9000 return",
    ]


def test_egress_is_judged_by_where_a_packet_goes() -> None:
    to_store = {"to": [{"podSelector": {"matchLabels": {"app": "store"}}}], "ports": [{"port": 9000}]}
    assert _rules("Egress", [to_store]) == ["ip daddr { 10.244.0.3 } tcp dport 9000 return"]


@pytest.mark.parametrize(
    ("selector", "holds"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_selectors(selector: Rule, holds: bool) -> None:
    assert matches(selector, {"a": "1"}) is holds


def test_a_pod_of_the_api_has_the_ports_of_all_its_containers() -> None:
    document = {
        "metadata": {"namespace": "shop", "name": "door"},
        "spec": {
            "initContainers": [{"ports": [{"name": "early", "containerPort": 1}]}],
            "containers": [{"ports": [{"containerPort": 2}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}]}],
        },
    }
    assert pod_from(document, "10.244.0.9").ports == {"early": ("tcp", 1), "dns": ("udp", 53)}
