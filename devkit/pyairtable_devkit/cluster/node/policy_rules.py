"""NetworkPolicies as rules of the kernel's packet filter (nftables). Pure: objects in, text for `nft -f` out.

Every pod that a policy selects gets a chain for each direction that the policy isolates: what a rule allows returns
from it, the rest is refused. Packets are seen after Services have been resolved, so a policy is about pods and ports of
pods, never about the addresses of Services. This machine and the node itself may always call pods, as on any node
(kubernetes.io/docs/concepts/services-networking/network-policies).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyairtable_devkit.cluster.node.network import Network

TABLE = "pyairtable-policies"
_REFUSED = "reject with icmp type admin-prohibited"
_ANYBODY = ""
"""As a peer: no match on an address."""

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod that has an address in the pods' network."""

    namespace: str
    name: str
    address: str
    labels: Mapping[str, str]
    ports: Mapping[str, tuple[str, int]]
    """Protocol and number of each named port."""


@dataclass(frozen=True)
class World:
    """What rules are made from."""

    network: Network
    pods: Sequence[Pod]
    policies: Sequence[Object]
    namespaces: Mapping[str, Mapping[str, str]]
    """Labels of each namespace."""


def pod_from(pod: Object, address: str) -> Pod:
    """Return what rules need of a pod of the API."""
    ports = {
        port["name"]: (port.get("protocol", "TCP").lower(), int(port["containerPort"]))
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
        for port in container.get("ports", [])
        if port.get("name")
    }
    metadata = pod["metadata"]
    return Pod(metadata["namespace"], metadata["name"], address, metadata.get("labels") or {}, ports)


def render(world: World) -> str:
    """Return a script for `nft -f` that replaces all rules at once."""
    chains: list[str] = []
    jumps: dict[str, list[str]] = {"Egress": [], "Ingress": []}
    for pod in sorted(world.pods, key=lambda pod: pod.address):
        policies = [policy for policy in world.policies if _selects(policy, pod)]
        for direction, elements in jumps.items():
            if isolating := [policy for policy in policies if direction in _directions(policy["spec"])]:
                name = f"{direction.lower()}_{pod.address.replace('.', '_')}"
                rules = [rule for policy in isolating for rule in _rules(world, pod, policy, direction)]
                chains.append(_chain(name, [*dict.fromkeys(rules), _REFUSED]))
                elements.append(f"{pod.address} : jump {name}")
    from_pods = [f"ip saddr vmap {{ {', '.join(jumps['Egress'])} }}"] if jumps["Egress"] else []
    to_pods = [f"ip daddr vmap {{ {', '.join(jumps['Ingress'])} }}"] if jumps["Ingress"] else []
    answers, host = "ct state established,related accept", f"ip saddr {world.network.host} accept"
    forward = _chain("forward", ["type filter hook forward priority filter;", answers, host, *from_pods, *to_pods])
    # A pod that may not call anybody may not call the node's own ports either.
    to_node = _chain("input", ["type filter hook input priority filter;", answers, *from_pods])
    body = "".join([*chains, forward, to_node])
    return f"table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n{body}}}\n"


def _chain(name: str, lines: Sequence[str]) -> str:
    return f"  chain {name} {{\n{''.join(f'    {line}{chr(10)}' for line in lines)}  }}\n"


def _directions(spec: Object) -> Sequence[str]:
    """Return what a policy isolates; one that does not say isolates ingress, and egress if it has rules for it."""
    return spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _selects(policy: Object, pod: Pod) -> bool:
    same = policy["metadata"]["namespace"] == pod.namespace
    return same and matches(policy["spec"].get("podSelector") or {}, pod.labels)


def _rules(world: World, pod: Pod, policy: Object, direction: str) -> Iterator[str]:
    """Give a line for each thing that a policy allows a pod."""
    namespace, spec = policy["metadata"]["namespace"], policy["spec"]
    field, side = ("from", "saddr") if direction == "Ingress" else ("to", "daddr")
    for rule in spec.get(direction.lower()) or []:
        ports = rule.get("ports") or [{}]
        for peer in _peers(world, namespace, rule.get(field) or []):
            for port in ports:
                if direction == "Egress" and isinstance(port.get("port"), str):
                    yield from _named_ports_of_others(world, peer, port)
                elif (match := _port(pod, port)) is not None:
                    yield " ".join(filter(None, [_address(side, peer), match, "return"]))


def _named_ports_of_others(world: World, peer: Sequence[str] | str, port: Object) -> Iterator[str]:
    """Egress to a named port: whatever number each pod gives that name."""
    for other in world.pods:
        if (peer == _ANYBODY or other.address in peer) and (match := _port(other, port)) is not None:
            yield f"{_address('daddr', [other.address])} {match} return"


def _peers(world: World, namespace: str, peers: Sequence[Object]) -> Iterator[Sequence[str] | str]:
    """Give the addresses of all pods that are meant together, and each block of addresses; no peers are anybody."""
    if not peers:
        yield _ANYBODY
        return
    if addresses := sorted(
        {pod.address for peer in peers for pod in world.pods if _is_peer(world, namespace, peer, pod)}
    ):
        yield addresses
    for block in (peer["ipBlock"] for peer in peers if "ipBlock" in peer):
        if ":" not in block["cidr"]:
            excepted = [f"!{cidr}" for cidr in block.get("except") or []]
            yield [block["cidr"], *excepted]


def _is_peer(world: World, namespace: str, peer: Object, pod: Pod) -> bool:
    if "ipBlock" in peer:
        return False
    if (chosen := peer.get("namespaceSelector")) is not None:
        if not matches(chosen, world.namespaces.get(pod.namespace, {})):
            return False
    elif pod.namespace != namespace:
        return False
    return matches(peer.get("podSelector") or {}, pod.labels)


def _address(side: str, peer: Sequence[str] | str) -> str:
    if peer == _ANYBODY:
        return ""
    allowed = [address for address in peer if not address.startswith("!")]
    excepted = [address[1:] for address in peer if address.startswith("!")]
    text = f"ip {side} {{ {', '.join(allowed)} }}"
    return f"{text} ip {side} != {{ {', '.join(excepted)} }}" if excepted else text


def _port(pod: Pod, port: Object) -> str | None:
    """Return the match for a port of a pod: empty for all ports, None if the pod has none of that name."""
    if not port:
        return ""
    protocol, number = port.get("protocol", "TCP").lower(), port.get("port")
    if number is None:
        return f"ip protocol {protocol}"
    if isinstance(number, str):
        named = pod.ports.get(number)
        return f"{protocol} dport {named[1]}" if named and named[0] == protocol else None
    last = port.get("endPort")
    return f"{protocol} dport {number}-{last}" if last and last != number else f"{protocol} dport {number}"


def matches(selector: Object, labels: Mapping[str, str]) -> bool:
    """Return whether a label selector of the API selects what has these labels; an empty one selects everything."""
    exact = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in exact.items()):
        return False
    return all(_holds(expression, labels) for expression in selector.get("matchExpressions") or [])


def _holds(expression: Object, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case other:
            raise ValueError(f"{other} is no operator of label selectors")
