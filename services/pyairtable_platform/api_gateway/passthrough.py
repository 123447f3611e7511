"""gRPC pass-through: a call for any service of the contract goes on to the process that serves it.

Metadata, deadline, status with details and cancellation pass in both directions. Requests are read here, because the
kit checks them by the contract's rules; answers go by as the bytes that came.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor

from pyairtable_platform.common import context
from pyairtable_platform.common.access import grpc_peer_address
from pyairtable_platform.common.context import OWN_HEADERS, WORKSPACE_HEADER
from pyairtable_platform.common.errors import Unavailable

from .callers import Callers
from .rate_limit import RateLimiter, Verdict
from .strangers import Strangers, is_public
from .upstreams import Upstream

Call = grpc.aio.ServicerContext[Any, Any]
Metadata = tuple[tuple[str, str | bytes], ...]

STATUS_DETAILS = "grpc-status-details-bin"
_HOP_BY_HOP = frozenset({"user-agent", "x-forwarded-for", "x-forwarded-proto"})
# Checked here and replaced by ours: what a caller shows or claims at the door proves nothing behind it. The workspace
# that a peer names goes on: it grants nothing.
_REPLACED = OWN_HEADERS - {WORKSPACE_HEADER}
_LIMITS: ContextVar[Metadata] = ContextVar("limits", default=())
"""What the caller of this call may still do."""


class PassThrough(grpc.GenericRpcHandler):
    """Serves every method of the upstreams' services by forwarding it."""

    def __init__(
        self, upstreams: Iterable[Upstream], limiter: RateLimiter, strangers: Strangers, callers: Callers
    ) -> None:
        self._limiter = limiter
        self._strangers = strangers
        self._callers = callers
        self._handlers = {
            method_path(method): self._handler(method, upstream)
            for upstream in upstreams
            for service in upstream.services
            for method in service.methods
        }

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """gRPC's hook: the handler of a method, None for an unknown one (UNIMPLEMENTED)."""
        return self._handlers.get(str(details.method))

    def _handler(self, method: MethodDescriptor, upstream: Upstream) -> grpc.RpcMethodHandler[Any, Any]:
        channel, request = upstream.channel.channel, message_factory.GetMessageClass(method.input_type)
        make = channel.unary_stream if method.server_streaming else channel.unary_unary
        rpc: Any = make(method_path(method), request_serializer=request.SerializeToString)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(self._stream(rpc, upstream), request.FromString)
        serve = self._unary(rpc, upstream, is_public=is_public(method))
        return grpc.unary_unary_rpc_method_handler(serve, request.FromString)

    def _unary(self, rpc: Any, upstream: Upstream, *, is_public: bool) -> Callable[[Any, Call], Any]:
        async def serve(request: Any, call: Call) -> Any:
            if is_public:
                await self._count_stranger(call)
            async with self._forwarded(rpc, request, call, upstream) as forwarded:
                return await forwarded

        return serve

    def _stream(self, rpc: Any, upstream: Upstream) -> Callable[[Any, Call], AsyncIterator[Any]]:
        async def serve(request: Any, call: Call) -> AsyncIterator[Any]:
            async with self._forwarded(rpc, request, call, upstream) as forwarded:
                async for message in forwarded:
                    yield message

        return serve

    @asynccontextmanager
    async def _forwarded(self, rpc: Any, request: Any, call: Call, upstream: Upstream) -> AsyncIterator[Any]:
        """The call to the service behind, whose status becomes ours, and which ends when ours does."""
        metadata = (*forwarded_metadata(call), *await upstream.channel.metadata())
        forwarded = rpc(request, timeout=context.remaining_seconds(), metadata=metadata)
        try:
            await call.send_initial_metadata((*_LIMITS.get(), *await forwarded.initial_metadata()))
            yield forwarded
            call.set_trailing_metadata(tuple(await forwarded.trailing_metadata()))
        except grpc.aio.AioRpcError as error:
            await pass_on(error, call, upstream)
        finally:
            forwarded.cancel()

    async def count(self, call: Call) -> None:
        """Count the call for its caller; raises RateLimited. Before its credential is looked at, as over HTTP: else
        keys could be guessed without end."""
        note(await self._limiter.take(self._callers.name(self._address(call), dict(shown(call)))))

    async def _count_stranger(self, call: Call) -> None:
        note(await self._strangers.take(self._callers.place(self._address(call))))

    def _address(self, call: Call) -> str:
        forwarded_for = ",".join(value for key, value in shown(call) if key == "x-forwarded-for")
        return self._callers.address(grpc_peer_address(call.peer()), forwarded_for)


def note(verdict: Verdict | None) -> None:
    """Tell the caller how much is left; raises RateLimited when nothing is."""
    if verdict is not None:
        verdict.raise_if_refused()
        _LIMITS.set(tuple(verdict.headers().items()))


def shown(call: Call) -> list[tuple[str, str]]:
    """The caller's metadata, without what is binary."""
    return [(key, value) for key, value in call.invocation_metadata() or () if isinstance(value, str)]


def method_path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def forwarded_metadata(call: Call) -> Metadata:
    """The caller's metadata for the service behind, without credentials and what concerns this hop only."""
    left_out = _HOP_BY_HOP | _REPLACED
    return tuple((key, value) for key, value in call.invocation_metadata() or () if key not in left_out)


async def pass_on(error: grpc.aio.AioRpcError, call: Call, upstream: Upstream) -> None:
    """End our call with the status, details and trailing metadata of the call behind."""
    trailing = tuple(error.trailing_metadata() or ())
    if error.code() is grpc.StatusCode.UNAVAILABLE and all(key != STATUS_DETAILS for key, _ in trailing):
        # No service of ours spoke: gRPC's own words would tell inner addresses and not what is away.
        raise Unavailable(f"the {upstream.title} cannot be reached", dependency=upstream.name) from error
    await call.abort(error.code(), error.details() or "", trailing)
