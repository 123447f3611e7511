"""Calls to other services: channels with keepalive, a deadline on every call, errors as our own classes.

Deadlines stand on the call, never in the channel's service config: there grpc 1.85 fires them early.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import grpc

from . import context
from .context import (
    API_KEY_HEADER,
    AUTHORIZATION_HEADER,
    CLIENT_ADDRESS_HEADER,
    REQUEST_ID_HEADER,
    ROLE_HEADER,
    TENANT_HEADER,
    WORKSPACE_HEADER,
)
from .status import from_rpc_error

DEFAULT_TIMEOUT_SECONDS = 60.0
MAX_MESSAGE_BYTES = 32 * 1024 * 1024

R = TypeVar("R")


class ServiceChannel:
    """A channel to one service. Who opens it closes it (`async with`)."""

    def __init__(self, target: str, *, api_key: str | None = None) -> None:
        self.target = target
        self.channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        self._api_key = api_key

    async def __aenter__(self) -> ServiceChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()

    async def call(self, method: Any, request: Any, *, timeout: float | None = None) -> Any:
        """Call a unary method of a stub and return its response.

        The deadline is the shorter of `timeout` (seconds) and what is left of the call that this one serves.
        """
        try:
            return await method(request, timeout=deadline(timeout), metadata=await self.metadata())
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error

    async def stream(self, method: Any, request: Any, *, timeout: float | None = None) -> AsyncIterator[Any]:
        """Call a server-streaming method of a stub; leaving the loop cancels the call."""
        call = method(request, timeout=deadline(timeout), metadata=await self.metadata())
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        finally:
            call.cancel()

    async def metadata(self) -> tuple[tuple[str, str], ...]:
        """What our calls show: that we are a peer, and whose call from where this one serves."""
        current = context.current()
        told = {
            REQUEST_ID_HEADER: current.request_id,
            API_KEY_HEADER: self._api_key,
            TENANT_HEADER: current.tenant,
            ROLE_HEADER: current.role,
            WORKSPACE_HEADER: current.entering,
            CLIENT_ADDRESS_HEADER: current.address,
        }
        pairs = [(name, value) for name, value in told.items() if value]
        tenant = current.identity
        if tenant is not None:
            pairs.append((AUTHORIZATION_HEADER, f"Bearer {await tenant.forwarded_token()}"))
        return tuple(pairs)


def open_channel(target: str, settings: Any = None) -> ServiceChannel:
    """A channel to `target` (HOST:PORT) that shows our API key, if the settings hold one."""
    secret = getattr(settings, "api_key", None)
    return ServiceChannel(target, api_key=secret.get_secret_value() if secret else None)


def deadline(timeout: float | None) -> float:
    """Seconds that an outgoing call may take."""
    candidates = [value for value in (timeout, context.remaining_seconds()) if value is not None]
    return min(candidates, default=DEFAULT_TIMEOUT_SECONDS)


_OPTIONS = [
    # A peer that vanished without a word is noticed in half a minute, not by the kernel's hours.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A service that comes back is tried soon, not after the default of up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 32 * 1024),
    ("grpc.absolute_max_metadata_size", 64 * 1024),
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.enable_retries", 0),
]
