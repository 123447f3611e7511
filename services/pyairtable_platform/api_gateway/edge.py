"""What every HTTP request to the door meets first. Plain ASGI, so that streams pass through untouched.

headers on the answer -> CORS -> framing -> limit of the caller -> the border of the kit; any error on the way
becomes problem+json, with the same headers.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pyairtable_platform.common import context
from pyairtable_platform.common.context import REQUEST_ID_HEADER, CallContext
from pyairtable_platform.common.errors import InvalidInput, Reason
from pyairtable_platform.common.http import error_response
from pyairtable_platform.common.rest.handler import raw_path

from .browsers import Cors
from .callers import Callers
from .headers import with_headers
from .rate_limit import RateLimiter
from .settings import Settings
from .strangers import Strangers

_EXTRA = "door.headers"  # in the scope: headers that the answer will carry
LIMITED_PREFIX = "/api"
MAX_HEADER_BYTES = 32 * 1024


class Edge:
    """Guards an ASGI app."""

    def __init__(
        self, app: ASGIApp, settings: Settings, limiter: RateLimiter, strangers: Strangers, callers: Callers
    ) -> None:
        self._app = app
        self._settings = settings
        self._limiter = limiter
        self._strangers = strangers
        self._callers = callers
        self._cors = Cors(self._guarded, settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        peer = scope["client"][0] if scope.get("client") else ""
        call = CallContext(request_id=context.accepted_request_id(headers.get(REQUEST_ID_HEADER)))
        extra = {REQUEST_ID_HEADER: call.request_id}
        forwarded_for = ",".join(headers.getlist("x-forwarded-for"))  # some proxies add a line, others to the line
        known = {"client": (self._callers.address(peer, forwarded_for), 0), _EXTRA: extra}
        if self._callers.trusts(peer) and headers.get("x-forwarded-proto") in ("http", "https"):
            known["scheme"] = headers["x-forwarded-proto"]
        scope = {**scope, **known, "headers": with_request_id(scope["headers"], call.request_id)}
        secure = self._settings.https_enabled or scope["scheme"] == "https"
        with context.entered(call):
            await self._cors(scope, receive, with_headers(send, extra, secure=secure))

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._check(scope)
            await self._app(scope, receive, watched)
        except Exception as error:
            if started:
                raise  # the body is on its way: only a broken connection still tells the caller
            await error_response(error, context.current())(scope, receive, send)

    async def _check(self, scope: Scope) -> None:
        """Raise for a request that does not get in, and count it for its caller."""
        headers = Headers(scope=scope)
        try:
            check_framing(headers, scope["http_version"])
        except InvalidInput:
            scope[_EXTRA]["connection"] = "close"  # what follows on this connection may not be what it seems
            raise
        if not scope["path"].startswith(f"{LIMITED_PREFIX}/"):
            return
        address = scope["client"][0]
        verdicts = [await self._limiter.take(self._callers.name(address, headers))]
        if self._strangers.may_call(scope["method"], raw_path(scope).removeprefix(LIMITED_PREFIX)):
            verdicts.append(await self._strangers.take(self._callers.place(address)))
        for verdict in filter(None, verdicts):
            scope[_EXTRA].update(verdict.headers())
            verdict.raise_if_refused()


def with_request_id(headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    """The headers with our id of the request, so that everything behind the edge uses the same."""
    name = REQUEST_ID_HEADER.encode()
    return [*(pair for pair in headers if pair[0].lower() != name), (name, request_id.encode())]


def check_framing(headers: Headers, http_version: str) -> None:
    """Raise InvalidInput when two parsers could disagree on where the request ends (request smuggling)."""
    if sum(len(name) + len(value) for name, value in headers.raw) > MAX_HEADER_BYTES:
        text = f"the headers are larger than {MAX_HEADER_BYTES} bytes"
        raise InvalidInput(text, reason=Reason.TOO_LARGE, limit=str(MAX_HEADER_BYTES))
    lengths = headers.getlist("content-length")
    if lengths and "transfer-encoding" in headers:
        raise InvalidInput.at("Content-Length", "must not be given together with Transfer-Encoding")
    if len(lengths) > 1:
        raise InvalidInput.at("Content-Length", "is given twice")
    if len(headers.getlist("host")) > 1:
        raise InvalidInput.at("Host", "is given twice")
    if "host" not in headers and http_version != "1.0":
        raise InvalidInput.at("Host", "is missing")
