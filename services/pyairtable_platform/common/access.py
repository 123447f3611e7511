"""Who may call this process at all.

There is no identity service yet. In development, whoever reaches this process over loopback may use every workspace of
it; other addresses are refused. When API_KEY is set the caller must also show it. ENVIRONMENT=production does not get
this far: `settings.load` refuses it.
"""

from __future__ import annotations

import hmac
import ipaddress

from .errors import Denied, Unauthenticated
from .settings import ServiceSettings

DEVELOPMENT_NOTE = (
    "development mode: callers on this machine may use every workspace without a credential; others are refused"
)


class Access:
    """Decides on callers by address and API key; no header is trusted for identity."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._api_key = settings.api_key.get_secret_value() if settings.api_key else ""

    def check(self, address: str, api_key: str | None) -> None:
        """Return for a caller that may go on, else raise Denied or Unauthenticated.

        `address` is an IP address, or empty for a local socket.
        """
        if not is_loopback(address):
            raise Denied(
                "development mode serves callers on this machine only: there is no identity service to ask who you are"
            )
        if self._api_key and not hmac.compare_digest((api_key or "").encode(), self._api_key.encode()):
            raise Unauthenticated("this installation wants its API key: send it as the header x-api-key")


def is_loopback(address: str) -> bool:
    """True for 127.0.0.0/8, ::1 (also written as an IPv4-mapped address) and local sockets (empty)."""
    if not address:
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def grpc_peer_address(peer: str) -> str:
    """The IP address in gRPC's peer text: `ipv4:127.0.0.1:4711`, `ipv6:[::1]:4711` (maybe percent-escaped), `unix:`."""
    kind, _, rest = peer.partition(":")
    if kind == "unix":
        return ""
    address = rest.replace("%5B", "[").replace("%5D", "]").rpartition(":")[0]
    return address.strip("[]") or "unknown"
