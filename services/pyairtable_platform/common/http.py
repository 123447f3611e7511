"""The HTTP side of every service: /health, /ready, /metrics, /openapi.json and the REST routes, behind one border.

The border gives every answer a request id, refuses callers that may not come in, bounds bodies, turns every error into
problem+json and measures. It is plain ASGI, so that streams pass through it untouched.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from typing import Any

import orjson
from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import context, metrics, tracing
from .access import PUBLIC, WORKSPACE, Access, rule_of
from .browsers import check_host, check_origin
from .context import REQUEST_ID_HEADER, ROLE_HEADER, TENANT_HEADER, WORKSPACE_HEADER, CallContext
from .errors import DeadlineExceeded, InvalidInput, NotFound, PyAirtableError, Reason, Unauthenticated
from .health import Health
from .interceptors import as_typed
from .rest.handler import MethodNotAllowed, RpcRoute
from .rest.openapi import document
from .revocations import Standing
from .settings import ServiceSettings
from .status import codes, problem

log = logging.getLogger(__name__)

OPEN_PATHS = frozenset({"/health", "/ready", "/metrics"})
"""Asked by probes, which show no credential."""

REQUEST_TIMEOUT_HEADER = "request-timeout"


def build_app(
    *,
    title: str,
    version: str,
    settings: ServiceSettings,
    health: Health,
    routes: Sequence[BaseRoute],
    access: Access,
    public_paths: Sequence[str] = (),
) -> ASGIApp:
    """The HTTP app of a service. A public path that ends in a slash stands for everything below it."""
    kit = [
        Route("/health", partial(answer_health, health)),
        Route("/ready", partial(answer_ready, health)),
        Route("/openapi.json", Described(title, version, routes).answer),
        *([Route("/metrics", answer_metrics)] if settings.enable_metrics else []),
    ]
    app = FastAPI(
        title=title,
        version=version,
        openapi_url=None,  # the contract is described by its RPCs (Described)
        docs_url=None,
        redoc_url=None,
        routes=[*kit, *routes],
        exception_handlers=dict.fromkeys((Exception, PyAirtableError, HTTPException, MethodNotAllowed), answer_error),
    )
    app.router.redirect_slashes = False
    rules = Rules(routes, ("/openapi.json", *public_paths))
    return Border(app, settings, access, rules)


async def answer_health(health: Health, request: Request) -> Response:
    report = await health.report()
    return json_response(report, 503 if report["status"] == "unhealthy" else 200)


async def answer_ready(health: Health, request: Request) -> Response:
    ready = {"ready": health.serving, "waiting_for": health.waiting_for}
    return json_response(ready, 200 if health.serving else 503)


async def answer_metrics(request: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


class Described:
    """The OpenAPI document, made when it is asked for the first time."""

    def __init__(self, title: str, version: str, routes: Sequence[BaseRoute]) -> None:
        described = [route for route in routes if isinstance(route, RpcRoute)]
        self._make = cache(lambda: orjson.dumps(document(title, version, described)))

    async def answer(self, request: Request) -> Response:
        return Response(self._make(), media_type="application/json")


class Rules:
    """Who may make an HTTP request: the rule of the RPC behind it, else a tenant's unless its path is public."""

    def __init__(self, routes: Sequence[BaseRoute], public_paths: Sequence[str]) -> None:
        self._rpcs = [route for route in routes if isinstance(route, RpcRoute)]
        self._others = [route for route in routes if not isinstance(route, RpcRoute)]
        self._public = frozenset(path for path in public_paths if path == "/" or not path.endswith("/"))
        self._public_below = tuple(path for path in public_paths if path != "/" and path.endswith("/"))

    def of(self, scope: Scope) -> int:
        """The rule for a request."""
        for route in self._rpcs:
            if route.matches(scope)[0] is Match.FULL:
                return rule_of(str(route.binding.method.full_name))
        path = scope["path"]
        return PUBLIC if path in self._public or path.startswith(self._public_below) else WORKSPACE

    def is_served_here(self, scope: Scope) -> bool:
        """Whether a route serves the request that is no RPC: no interceptor will look at it after the border."""
        is_rpc = any(route.matches(scope)[0] is Match.FULL for route in self._rpcs)
        return not is_rpc and any(route.matches(scope)[0] is Match.FULL for route in self._others)


class Border:
    """What happens to every HTTP request before and after a route."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, access: Access, rules: Rules) -> None:
        self._app = app
        self._access = access
        self._rules = rules
        self._max_bytes = settings.max_request_bytes
        self._timeout = settings.request_timeout_seconds
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        call = CallContext(request_id=context.accepted_request_id(headers.get(REQUEST_ID_HEADER)))
        answer = Answer(send, call.request_id)
        started = time.perf_counter()
        with context.entered(call), tracing.server_span(f"{scope['method']} {scope['path']}", headers):
            try:
                admitted = call if scope["path"] in OPEN_PATHS else await self._admitted(scope, headers, call)
                deadline = time.monotonic() + self._seconds(headers)
                bounded = BoundedBody(receive, headers.get("content-length"), self._max_bytes, deadline)
                async with self._access.standing(admitted.identity, later=True) as standing:
                    # Streams of RPCs are ended where they are served, which tells their readers why.
                    answer.standing = standing if self._rules.is_served_here(scope) else None
                    with context.entered(replace(admitted, deadline=deadline)):
                        await self._app(scope, bounded, answer)
            except ClientDisconnect:
                log.debug("the caller left before the whole request had come")
            except Exception as error:
                if answer.is_event_stream and isinstance(error, Unauthenticated):
                    await answer.end(error)
                elif answer.started:
                    raise  # the body is on its way: only a broken connection still tells the caller
                else:
                    await error_response(error, call)(scope, receive, answer)
            finally:
                elapsed = time.perf_counter() - started
                route = scope.get("route_name") or getattr(scope.get("route"), "path", "unknown")
                metrics.HTTP_REQUESTS.labels(scope["method"], route, str(answer.status)).observe(elapsed)

    async def _admitted(self, scope: Scope, headers: dict[str, str], call: CallContext) -> CallContext:
        """The call with what is known of its caller; raises for one that may not come in."""
        check_origin(headers, self._settings.browser_origins())
        if self._access.is_open:
            check_host(headers, self._settings.allowed_hosts)
        address = scope["client"][0] if scope.get("client") else ""
        rule, header = self._rules.of(scope), headers.get(WORKSPACE_HEADER, "")
        identity = await self._access.admit(rule, address, headers, header)
        workspace = context.named_workspace((), header) if rule == WORKSPACE else ""
        if identity is not None and rule == WORKSPACE and self._rules.is_served_here(scope):
            identity = await self._access.entered(identity, workspace)
        return replace(
            call,
            workspace=(identity.workspace if identity else "") or workspace,
            identity=identity,
            tenant=context.accepted_tenant(headers.get(TENANT_HEADER)),
            address=self._access.client_address(address, headers),
            entering=workspace,
            role=context.accepted_role(headers.get(ROLE_HEADER)),
        )

    def _seconds(self, headers: dict[str, str]) -> float:
        """How long this request may take: ours, unless the caller asks for something else."""
        wanted = headers.get(REQUEST_TIMEOUT_HEADER)
        if wanted is None:
            return self._timeout
        with suppress(ValueError):
            if 0 < float(wanted) <= 3600:
                return float(wanted)
        raise InvalidInput.at("Request-Timeout", "must be seconds, more than 0 and at most 3600")


class Answer:
    """Sends an answer with its request id and remembers its status. From the beginning of an event stream on, it lasts
    no longer than `standing`."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 500
        self.started = False
        self.is_event_stream = False
        self.standing: Standing | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if self.standing is not None and is_event_stream(message):
                self.standing.begin()
                self.is_event_stream = True
            self.started = True
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (REQUEST_ID_HEADER.encode(), self._request_id.encode())]
        await self._send(message)

    async def end(self, error: PyAirtableError) -> None:
        """End an event stream with an error that its reader can read."""
        body = b"event: error\ndata: " + orjson.dumps(problem(error, self._request_id)) + b"\n\n"
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def is_event_stream(start: Message) -> bool:
    """Whether an answer that begins is a stream of server-sent events."""
    kinds = [value for name, value in start.get("headers", ()) if name.lower() == b"content-type"]
    return any(kind.startswith(b"text/event-stream") for kind in kinds)


class BoundedBody:
    """Receives a body and stops it at a limit of size, whatever its headers promised, and of time."""

    def __init__(self, receive: Receive, content_length: str | None, limit: int, deadline: float) -> None:
        self._receive = receive
        self._limit = limit
        self._left = limit
        self._deadline = deadline
        self._is_whole = False
        if content_length and content_length.isdecimal() and int(content_length) > limit:
            raise self._too_large()

    async def __call__(self) -> Message:
        if self._is_whole:
            return await self._receive()  # what comes now is only that the caller leaves
        try:
            async with asyncio.timeout(max(0.0, self._deadline - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise DeadlineExceeded("the body of the request did not arrive in time") from None
        self._is_whole = not message.get("more_body", False)
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise self._too_large()
        return message

    def _too_large(self) -> InvalidInput:
        text = f"the body is larger than {self._limit} bytes: send less at a time"
        return InvalidInput(text, reason=Reason.TOO_LARGE, limit=str(self._limit))


async def answer_error(request: Request, error: Exception) -> Response:
    """FastAPI's hook: errors of routes, unknown addresses and wrong verbs."""
    return error_response(error, context.current())


def error_response(error: Exception, call: CallContext) -> Response:
    """Any error as problem+json."""
    headers: dict[str, str] = {}
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = error.allowed
        return problem_response(
            problem(NotFound("this address does not take that method"), call.request_id), 405, headers
        )
    if isinstance(error, HTTPException):
        return http_exception_response(error, call)
    typed = as_typed(error, call)
    metrics.ERRORS.labels(str(typed.reason)).inc()
    if isinstance(typed, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    if typed.retry_after is not None:
        headers["retry-after"] = str(max(1, round(typed.retry_after)))
    return problem_response(problem(typed, call.request_id), codes(typed)[1], headers)


def http_exception_response(error: HTTPException, call: CallContext) -> Response:
    """What the framework refuses: an unknown address, a wrong verb, a body it cannot read."""
    texts = {404: "there is nothing at this address: /openapi.json lists what there is", 405: "wrong method here"}
    body = problem(NotFound(texts.get(error.status_code, str(error.detail))), call.request_id)
    if error.status_code not in (404, 405):
        body = problem(InvalidInput(str(error.detail)), call.request_id)
    return problem_response(body, error.status_code, dict(error.headers or {}))


def problem_response(body: dict[str, Any], status: int, headers: dict[str, str]) -> Response:
    """Problem details (RFC 9457); never cached."""
    body["status"] = status
    headers = {"cache-control": "no-store", **headers}
    return Response(orjson.dumps(body), status, headers, media_type="application/problem+json")


def json_response(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, {"cache-control": "no-store"}, media_type="application/json")
