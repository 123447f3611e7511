"""What happens to every gRPC call before and after a servicer: one interceptor, in this order.

request id and deadline -> count (at the door) -> access -> entering a workspace -> workspace and role -> validation
-> the servicer -> errors to google.rpc.Status -> metrics. A stream ends when its identity is revoked.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import grpc
from grpc_status import rpc_status

from . import context, metrics, tracing
from .access import (
    KNOWN,
    WORKSPACE,
    Access,
    check_need,
    check_workspaces,
    grpc_peer_address,
    named_workspaces,
    rule_of,
)
from .context import REQUEST_ID_HEADER, ROLE_HEADER, TENANT_HEADER, WORKSPACE_HEADER, CallContext
from .errors import DeadlineExceeded, Internal, PyAirtableError
from .status import codes, to_status
from .validation import validate

log = logging.getLogger(__name__)

Addressed = Callable[[str, Mapping[str, str]], str]
"""The address of a caller: by that of who is connected and the headers (at the door: of its trusted proxies)."""

Count = Callable[[Any], Awaitable[None]]
"""Told of each call (its ServicerContext) before anybody looks at its credential; may raise to refuse it."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every RPC of ours; gRPC's own services (health, reflection) pass untouched."""

    def __init__(
        self,
        access: Access,
        default_timeout: float,
        count: Count | None = None,
        addressed: Addressed | None = None,
    ) -> None:
        self._access = access
        self._default_timeout = default_timeout
        self._count = count
        self._addressed = addressed

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(details)
        method = str(details.method).lstrip("/")
        if handler is None or method.startswith("grpc."):
            return handler
        serializers = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(self._streaming(handler.unary_stream, method), **serializers)
        return grpc.unary_unary_rpc_method_handler(self._unary(handler.unary_unary, method), **serializers)

    def _unary(self, serve: Any, method: str) -> Any:
        async def unary(request: Any, call: Any) -> Any:
            async with self._serving(method, request, call, default_timeout=self._default_timeout):
                return await serve(request, call)

        return unary

    def _streaming(self, serve: Any, method: str) -> Any:
        async def streaming(request: Any, call: Any) -> AsyncIterator[Any]:
            # A stream may stay open as long as its reader likes, so it gets no deadline of ours.
            async with (
                self._serving(method, request, call, default_timeout=None),
                self._access.standing(context.identity()) as standing,
            ):
                async for response in serve(request, call):
                    with standing.sending():
                        yield response

        return streaming

    @asynccontextmanager
    async def _serving(
        self, method: str, request: Any, call: Any, *, default_timeout: float | None
    ) -> AsyncIterator[None]:
        headers = {key: value for key, value in call.invocation_metadata() if isinstance(value, str)}
        remaining: float | None = call.time_remaining()
        timeout = remaining if remaining is not None else default_timeout
        current = CallContext(
            request_id=context.accepted_request_id(headers.get(REQUEST_ID_HEADER)),
            deadline=None if timeout is None else time.monotonic() + timeout,
            tenant=context.accepted_tenant(headers.get(TENANT_HEADER)),
            address=self._address(call, headers),
        )
        with (
            context.entered(current),
            metrics.CALLS_IN_PROGRESS.labels(method).track_inprogress(),
            tracing.server_span(method, headers),
        ):
            started = time.perf_counter()
            code = grpc.StatusCode.OK
            try:
                admitted = await self._admitted(method, request, call, headers)
                with context.entered(replace(current, **admitted)):
                    check_need(method.replace("/", "."))
                    validate(request)
                    async with asyncio.timeout(default_timeout if remaining is None else None):
                        yield
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                raise
            except grpc.aio.AbortError:
                code = grpc.StatusCode.UNKNOWN
                raise
            except Exception as error:
                typed = as_typed(error, current)
                code = codes(typed)[0]
                metrics.ERRORS.labels(str(typed.reason)).inc()
                await call.abort_with_status(rpc_status.to_status(cast(Any, to_status(typed))))
            finally:
                elapsed = time.perf_counter() - started
                metrics.SERVER_CALLS.labels(method, code.name).observe(elapsed)
                log.debug("call served", extra={"rpc": method, "code": code.name, "seconds": round(elapsed, 4)})

    def _address(self, call: Any, headers: Mapping[str, str]) -> str:
        connected = grpc_peer_address(call.peer())
        if self._addressed is not None:
            return self._addressed(connected, headers)
        return self._access.client_address(connected, headers)

    async def _admitted(self, method: str, request: Any, call: Any, headers: dict[str, str]) -> dict[str, Any]:
        """What is known of a caller that may make this call; raises Unauthenticated or Denied for others."""
        if self._count is not None:
            await self._count(call)
        rpc = method.replace("/", ".")
        rule, named = rule_of(rpc), named_workspaces(request)
        header = headers.get(WORKSPACE_HEADER, "") if rule in (WORKSPACE, KNOWN) else ""
        identity = await self._access.admit(rule, grpc_peer_address(call.peer()), headers, [*named, header][0])
        workspace = context.named_workspace(named, header)
        role = context.accepted_role(headers.get(ROLE_HEADER))
        if identity is None:
            return {"workspace": workspace, "role": role}
        if rule == WORKSPACE:
            identity = await self._access.entered(identity, workspace)
        check_workspaces(identity, named)
        return {"identity": identity, "workspace": identity.workspace or workspace, "role": role}


def as_typed(error: Exception, call: CallContext) -> PyAirtableError:
    """The error that a caller may see. What we did not foresee is logged once and stays here."""
    if isinstance(error, PyAirtableError):
        return error
    if isinstance(error, TimeoutError):
        return DeadlineExceeded("the call took longer than this service allows: set a longer deadline")
    log.error("unexpected error", exc_info=error)
    return Internal(f"something went wrong here; request {call.request_id} finds it in the logs")
