"""One HTTP route that serves one binding by calling its RPC over a channel.

A service serves its own REST over a channel to itself and the door over channels to everybody: one way, so that
validation, deadlines and errors are the same for gRPC and REST.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import ServiceDescriptor
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.errors import InvalidInput

from . import sse
from .routes import Binding, bindings
from .transcoding import parse_request, to_json

_JSON = "application/json"


class RpcRoute(BaseRoute):
    """A route made from a binding. `prefix` stands before the template (the door's `/api`)."""

    def __init__(self, binding: Binding, channel: ServiceChannel, prefix: str = "") -> None:
        self.binding = binding
        self.prefix = prefix
        self.path = prefix + binding.template
        self.allowed: tuple[str, ...] = (binding.verb,)
        self._channel = channel
        self._rpc = stub_method(channel.channel, binding)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        path = raw_path(scope)
        if not path.startswith(self.prefix):
            return Match.NONE, {}
        found = self.binding.pattern.fullmatch(path[len(self.prefix) :])
        if not found:
            return Match.NONE, {}
        match = Match.FULL if scope["method"] == self.binding.verb else Match.PARTIAL
        return match, {"rpc_match": found, "route_name": self.path}

    def url_path_for(self, name: str, /, **path_params: Any) -> Any:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != self.binding.verb:
            raise MethodNotAllowed(self.allowed)
        response = await self._serve(Request(scope, receive))
        await response(scope, receive, send)

    async def _serve(self, request: Request) -> Response:
        body = await request.body()
        if body.strip() and request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            raise InvalidInput.at("Content-Type", f"send {_JSON}")
        query = parse_qsl(request.url.query, keep_blank_values=True)
        path = self.binding.path_values(request.scope["rpc_match"])
        message = parse_request(self.binding, path, query, body)
        if not self.binding.server_streaming:
            return Response(to_json(await self._channel.call(self._rpc, message)), media_type=_JSON)
        resume(message, request.headers.get("last-event-id"))
        return await self._stream(message)

    async def _stream(self, message: Any) -> Response:
        messages = self._channel.stream(self._rpc, message, timeout=UNLIMITED_SECONDS)
        # The first message decides: an error before it is an ordinary answer with its status.
        first = await anext(messages, None)
        if self.binding.returns_raw_body:
            kind = (first.content_type if first is not None else "") or "application/octet-stream"
            return StreamingResponse(chunks(first, messages, sse.raw), media_type=kind)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(chunks(first, messages, sse.events), media_type="text/event-stream", headers=headers)


UNLIMITED_SECONDS = 24 * 3600.0
"""Streams end when either side has enough; a day bounds what would otherwise be forgotten."""


class MethodNotAllowed(Exception):
    """The address is right, the verb is not."""

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(*allowed)
        self.allowed = ", ".join(allowed)


async def chunks(first: Any, rest: AsyncIterator[Any], render: Any) -> AsyncIterator[bytes]:
    """The body of a stream that may be empty."""
    if first is not None:
        async for chunk in render(first, rest):
            yield chunk


def rest_routes(services: Iterable[tuple[ServiceDescriptor, ServiceChannel]], prefix: str = "") -> list[RpcRoute]:
    """Routes for services, each over its channel; more specific ones first."""
    routes = [RpcRoute(binding, channel, prefix) for service, channel in services for binding in bindings(service)]
    for route in routes:
        same = {other.binding.verb for other in routes if other.binding.pattern == route.binding.pattern}
        route.allowed = tuple(sorted(same))
    return sorted(routes, key=lambda route: len(route.binding.path_variables))


def stub_method(channel: grpc.aio.Channel, binding: Binding) -> Any:
    """The callable of an RPC, made from its descriptor."""
    method = binding.method
    make = channel.unary_stream if binding.server_streaming else channel.unary_unary
    return make(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=message_factory.GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )


def resume(message: Any, last_event_id: str | None) -> None:
    """A browser that reconnects says what it saw last; it knows nothing of our field."""
    if last_event_id and "after_event_id" in message.DESCRIPTOR.fields_by_name:
        if not last_event_id.isdecimal() or len(last_event_id) > 9:
            raise InvalidInput.at("Last-Event-ID", "must be the id of an event")
        message.after_event_id = int(last_event_id)


def raw_path(scope: Scope) -> str:
    """The path as it was sent, percent escapes kept."""
    return bytes(scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("ascii", "replace")
