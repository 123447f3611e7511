"""Which web pages may call a service, and under which names: a visitor's browser must not become a credential.

In development a call needs no credential, so a foreign page is refused whatever it sends, and so is a foreign name that
was pointed at this machine (DNS rebinding). Programs send no Origin and use a name of this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from .access import is_loopback
from .errors import Denied


def check_origin(headers: Mapping[str, str], allowed: tuple[str, ...]) -> None:
    """Raise Denied for a request that a foreign page sent."""
    origin = headers.get("origin")
    if origin is None or origin in allowed or headers.get("sec-fetch-site") == "same-origin":
        return
    if urlsplit(origin).netloc != headers.get("host"):
        raise Denied("this page may not call from a browser: ALLOWED_ORIGINS (at the door CORS_ORIGINS) lists who may")


def check_host(headers: Mapping[str, str], allowed: tuple[str, ...]) -> None:
    """Raise Denied when the request was meant for another host than this machine or an allowed name."""
    host = headers.get("host")
    if host is None:
        return  # HTTP/1.0: no browser, hence nobody to be tricked
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost") or (name and is_loopback(name)):
        return
    if host not in allowed and f"{name}:*" not in allowed:
        raise Denied("development mode answers to localhost, loopback addresses and ALLOWED_HOSTS, not to other names")
