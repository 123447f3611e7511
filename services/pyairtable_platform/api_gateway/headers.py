"""Headers that browsers enforce, on every answer of the door, errors included."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # The page makes elements, never HTML: with these a browser refuses innerHTML and its like altogether.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)

SECURITY_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

# Two years, as browsers' preload lists ask. Only ever said over HTTPS: elsewhere it would lock people out.
STRICT_TRANSPORT = "max-age=63072000; includeSubDomains"


def with_headers(send: Send, extra: Mapping[str, str], *, secure: bool) -> Send:
    """A `send` that adds the security headers, and what `extra` holds when the answer begins."""

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(SECURITY_HEADERS)
            headers.update(extra)
            headers.setdefault("cache-control", "no-store")
            if secure:
                headers["strict-transport-security"] = STRICT_TRANSPORT
        await send(message)

    return wrapped
