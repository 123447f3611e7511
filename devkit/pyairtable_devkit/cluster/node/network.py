"""The addresses of a node, and the cable between it and this machine.

The node has a network of its own (a network namespace): its interfaces, routes and packet filters are not those of
this machine, and end with it. One pair of virtual interfaces joins the two; with it go the two routes that let this
machine reach pods and services.
"""

import json
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

_COUNT = 200
_NODE_INTERFACE = "eth0"


class NetworkError(RuntimeError):
    """The node's network could not be made; the message holds what was said."""


@dataclass(frozen=True)
class Network:
    """The addresses of one cluster with a node. Each that runs on a machine has a number of its own."""

    number: int

    @property
    def interface(self) -> str:
        """This machine's end of the cable."""
        return f"pyairtable{self.number}"

    @property
    def pods(self) -> IPv4Network:
        return IPv4Network(f"10.244.{self.number}.0/24")

    @property
    def services(self) -> IPv4Network:
        return IPv4Network(f"10.96.{self.number}.0/24")

    @property
    def link(self) -> IPv4Network:
        """The two ends of the cable."""
        return IPv4Network(f"10.245.{self.number}.0/30")

    @property
    def host(self) -> IPv4Address:
        """This machine, seen from the node: here the API server listens."""
        return self.link[1]

    @property
    def node(self) -> IPv4Address:
        return self.link[2]

    @property
    def api_service(self) -> IPv4Address:
        """The address of the Service kubernetes.default."""
        return self.services[1]

    @property
    def dns_service(self) -> IPv4Address:
        return self.services[10]


def free_network() -> Network:
    """Return addresses that nothing on this machine uses; raises NetworkError if all are taken."""
    interfaces = {link["ifname"] for link in json.loads(_ip("-json", "link", "show"))}
    routes = json.loads(_ip("-json", "-4", "route", "show", "table", "all"))
    taken = [IPv4Network(route["dst"], strict=False) for route in routes if route["dst"] != "default"]
    for number in range(_COUNT):
        network = Network(number)
        wanted = (network.pods, network.services, network.link)
        if network.interface not in interfaces and not any(net.overlaps(used) for net in wanted for used in taken):
            return network
    raise NetworkError(f"All of 10.244.0.0/24 to 10.244.{_COUNT - 1}.0/24 are in use on this machine")


def lay_cable(network: Network, pid: int) -> None:
    """Join this machine and the node whose network is that of a process; the cable ends with that network."""
    _ip("link", "add", network.interface, "type", "veth", "peer", "name", _NODE_INTERFACE, "netns", str(pid))
    _ip("address", "add", f"{network.host}/{network.link.prefixlen}", "dev", network.interface)
    _ip("link", "set", network.interface, "up")
    _inside(pid, "link", "set", "lo", "up")
    _inside(pid, "address", "add", f"{network.node}/{network.link.prefixlen}", "dev", _NODE_INTERFACE)
    _inside(pid, "link", "set", _NODE_INTERFACE, "up")
    for reached in (network.pods, network.services):
        _ip("route", "add", str(reached), "via", str(network.node), "dev", network.interface)


def cut_cable(network: Network) -> None:
    """Take the cable away now, if it is there: the kernel may take seconds to end a network."""
    subprocess.run(["ip", "link", "delete", network.interface], capture_output=True, check=False, timeout=30)


def _inside(pid: int, *arguments: str) -> None:
    _run(["nsenter", "--target", str(pid), "--net", "--", "ip", *arguments])


def _ip(*arguments: str) -> str:
    return _run(["ip", *arguments])


def _run(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        raise NetworkError(f"`{' '.join(argv)}` failed: {done.stderr.strip()}")
    return done.stdout
