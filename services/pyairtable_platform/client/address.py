"""Where an installation is, and what this machine calls itself there."""

from __future__ import annotations

import ipaddress
import platform
from urllib.parse import urlsplit

from .errors import CommandError


def checked_url(url: str, *, plain_http: bool) -> str:
    """The address of an API without a slash at its end; raises CommandError for one that no password is sent to."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CommandError(f"{url} is no address of an API: write it as https://HOST/api")
    if "@" in parts.netloc:
        raise CommandError("leave name and password out of the address: they are asked for")
    if parts.scheme == "http" and not plain_http and not is_this_machine(parts.hostname):
        raise CommandError(
            f"a password does not go over http:// to {parts.hostname}, where others can read it: use https://, "
            "or --plain-http where the way there is safe"
        )
    return url.rstrip("/")


def is_this_machine(host: str) -> bool:
    """Whether a host name stands for this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def device_name() -> str:
    """What logs in, for the person's own list of logins."""
    return f"command line on {platform.node() or 'a machine without a name'}"[:100]
