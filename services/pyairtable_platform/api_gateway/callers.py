"""Who calls, as far as the door can prove it: by credential, else by the address that really reached it.

Headers are never believed, but for X-Forwarded-For as far as it was written by TRUSTED_PROXIES: read from its right
end, the first address that is no trusted proxy is the caller.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from pyairtable_platform.common.access import Access

from .settings import Network


class Callers:
    """Names callers, for limits."""

    def __init__(self, access: Access, trusted_proxies: Sequence[Network]) -> None:
        self._access = access
        self._trusted = tuple(trusted_proxies)

    def address(self, peer: str, forwarded_for: str = "") -> str:
        """The caller's IP address: the peer's, or what trusted proxies wrote about theirs."""
        address = peer
        for hop in reversed([part.strip() for part in forwarded_for.split(",")]):
            if not self.trusts(address) or not hop:
                break
            address = without_port(hop)
        return address

    def trusts(self, address: str) -> bool:
        """True for a trusted proxy."""
        parsed = parse(address)
        return parsed is not None and any(parsed in network for network in self._trusted)

    def name(self, address: str, headers: Mapping[str, str]) -> str:
        """A caller's name for counting. A credential that was not proved yet names nobody: it costs its address."""
        if principal := self._access.known_principal(headers):
            return f"caller:{principal}"
        return self.place(address)

    def place(self, address: str) -> str:
        """A name for whoever calls from an address."""
        parsed = parse(address)
        if isinstance(parsed, ipaddress.IPv6Address):
            # One customer of a provider holds a /64: counting single addresses would count nothing.
            return f"address:{ipaddress.ip_network((parsed, 64), strict=False)}"
        return f"address:{parsed or 'local'}"


def parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IP address (IPv4 written as IPv6 is IPv4); None for anything else, such as a local socket."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def without_port(hop: str) -> str:
    """An entry of X-Forwarded-For: `1.2.3.4`, `1.2.3.4:567`, `::1` or `[::1]:567`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
