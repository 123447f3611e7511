"""What the door tells browsers of other origins (CORS). Which pages may call at all, the kit's border decides."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from pyairtable_platform.common import context
from pyairtable_platform.common.errors import Denied
from pyairtable_platform.common.http import error_response

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = (
    "authorization",
    "content-type",
    "last-event-id",
    "pyairtable-workspace",
    "request-timeout",
    "x-api-key",
    "x-request-id",
)
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
