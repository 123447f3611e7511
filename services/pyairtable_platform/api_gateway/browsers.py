"""Which web pages may use the door: its own, and those of CORS_ORIGINS. Programs send no Origin and are not concerned.

In development mode the door needs no credential, so a visitor's browser must not become one: a foreign page that sends
a request is refused whatever the request is, and so is a foreign name that was pointed at this machine (DNS rebinding).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from pyairtable_platform.common import context
from pyairtable_platform.common.access import is_loopback
from pyairtable_platform.common.errors import Denied
from pyairtable_platform.common.http import error_response

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = ("content-type", "last-event-id", "request-timeout", "x-api-key", "x-request-id")
READABLE_HEADERS = (
    "x-request-id",
    "retry-after",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "ratelimit-policy",
)


class Cors(CORSMiddleware):
    """Starlette's, for listed origins, without credentials; a refused preflight is told as problem+json."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=READABLE_HEADERS,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        refused = Denied(f"{bytes(response.body).decode()}: CORS_ORIGINS lists who may call from a browser")
        return error_response(refused, context.current())


def check_origin(headers: Headers, allowed: tuple[str, ...]) -> None:
    """Raise Denied for a request that a foreign page sent."""
    origin = headers.get("origin")
    if origin is None or origin in allowed or headers.get("sec-fetch-site") == "same-origin":
        return
    if urlsplit(origin).netloc != headers.get("host"):
        raise Denied("this page may not call from a browser: CORS_ORIGINS lists who may")


def check_host(headers: Headers) -> None:
    """Raise Denied when the request was meant for another host than this machine (development mode only)."""
    host = headers.get("host")
    if host is None:
        return  # HTTP/1.0: no browser, hence nobody to be tricked
    name = urlsplit(f"//{host}").hostname or ""
    if name != "localhost" and not name.endswith(".localhost") and not (name and is_loopback(name)):
        raise Denied("development mode answers to localhost and loopback addresses only, not to other host names")
