"""The platform's services as the operator needs them: the registry, the keys, and the verification with Airtable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import grpc
from google.rpc import error_details_pb2, status_pb2

from pyairtable_operator.access_keys import DeclaredKey
from pyairtable_operator.fence import Fence
from pyairtable_operator.metrics import Metrics
from pyairtable_operator.settings import Settings
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as airtable_pb2
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2_grpc as airtable_grpc
from pyairtable_protos.auth.v1 import auth_service_pb2 as auth_pb2
from pyairtable_protos.auth.v1 import auth_service_pb2_grpc as auth_grpc
from pyairtable_protos.workspaces.v1 import workspace_pb2, workspace_service_pb2
from pyairtable_protos.workspaces.v1 import workspace_service_pb2_grpc as workspaces_grpc

R = TypeVar("R")


class PlatformError(Exception):
    """A service refused or is away. `reason` is the contract's ErrorReason ("" when there was no such answer)."""

    def __init__(self, message: str, *, reason: str, away: bool, retry_after: float = 0.0) -> None:
        """`away`: nobody answered, or something that the service needs is away; the same call may succeed later."""
        super().__init__(message)
        self.reason = reason
        self.away = away
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Registered:
    """An entry of the registry: its name and what declared it."""

    name: str
    source_kind: str
    uid: str


class Platform(Protocol):
    """What the reconciler asks of the platform. All raise PlatformError; those that change something NotLeaderError."""

    async def apply_workspace(self, workspace: workspace_pb2.Workspace, source: workspace_pb2.Source) -> None:
        """Makes the registry's entry so."""

    async def remove_workspace(self, name: str, uid: str) -> None:
        """Takes the entry out, if this object declared it."""

    async def registered(self) -> list[Registered]:
        """Every entry."""

    async def apply_keys(self, workspace: str, uid: str, keys: Sequence[DeclaredKey]) -> None:
        """Makes the declared keys of a workspace exactly these; none ends those of this object only."""

    async def verify(
        self, workspace: str, credential: workspace_pb2.SecretRef, base_ids: Sequence[str]
    ) -> airtable_pb2.VerifyBindingsResponse:
        """Asks Airtable whether the credential works and what it opens."""

    async def usage(self, workspace: str) -> airtable_pb2.GetUsageResponse:
        """This month's calls."""


class GrpcPlatform:
    """The platform over gRPC. Who opens it closes it."""

    def __init__(self, settings: Settings, fence: Fence, metrics: Metrics) -> None:
        """Opens no connection yet; that happens with the first call."""
        self._settings = settings
        self._fence = fence
        self._metrics = metrics
        self._metadata = (("x-api-key", settings.api_key.get_secret_value()),) if settings.api_key else ()
        targets = (settings.workspaces_target, settings.auth_target, settings.airtable_gateway_target)
        self._channels = [grpc.aio.insecure_channel(target, options=_OPTIONS) for target in targets]
        self._workspaces = workspaces_grpc.WorkspaceServiceStub(self._channels[0])
        self._auth = auth_grpc.AuthServiceStub(self._channels[1])
        self._airtable = airtable_grpc.AirtableGatewayServiceStub(self._channels[2])

    async def close(self) -> None:
        """Closes the connections."""
        for channel in self._channels:
            await channel.close()

    async def apply_workspace(self, workspace: workspace_pb2.Workspace, source: workspace_pb2.Source) -> None:
        """See Platform."""
        self._fence.check()
        request = workspace_service_pb2.ApplyWorkspaceRequest(workspace=workspace, source=source)
        await self._call("the registry of workspaces", self._workspaces.ApplyWorkspace, request)

    async def remove_workspace(self, name: str, uid: str) -> None:
        """See Platform."""
        self._fence.check()
        request = workspace_service_pb2.RemoveWorkspaceRequest(name=name, uid=uid)
        await self._call("the registry of workspaces", self._workspaces.RemoveWorkspace, request)

    async def registered(self) -> list[Registered]:
        """See Platform."""
        entries: list[Registered] = []
        token = ""
        while True:
            request = workspace_service_pb2.ListWorkspacesRequest(page_size=1000, page_token=token)
            page = await self._call("the registry of workspaces", self._workspaces.ListWorkspaces, request)
            entries += [Registered(item.name, item.source.kind, item.source.uid) for item in page.workspaces]
            token = page.next_page_token
            if not token:
                return entries

    async def apply_keys(self, workspace: str, uid: str, keys: Sequence[DeclaredKey]) -> None:
        """See Platform."""
        self._fence.check()
        request = auth_pb2.ApplyAccessKeysRequest(workspace=workspace, uid=uid)
        for key in keys:
            declared = request.keys.add(key_id=key.key_id, sha256=key.sha256)
            if key.expires_at is not None:
                declared.expires_at.FromDatetime(key.expires_at)
        await self._call("the auth service", self._auth.ApplyAccessKeys, request)

    async def verify(
        self, workspace: str, credential: workspace_pb2.SecretRef, base_ids: Sequence[str]
    ) -> airtable_pb2.VerifyBindingsResponse:
        """See Platform."""
        request = airtable_pb2.VerifyBindingsRequest(workspace=workspace, credential=credential, base_ids=base_ids)
        timeout = self._settings.verify_timeout_seconds
        return await self._call("the Airtable gateway", self._airtable.VerifyBindings, request, timeout)

    async def usage(self, workspace: str) -> airtable_pb2.GetUsageResponse:
        """See Platform."""
        request = airtable_pb2.GetUsageRequest(workspace=workspace)
        return await self._call("the Airtable gateway", self._airtable.GetUsage, request)

    async def _call(
        self, who: str, method: Callable[..., Awaitable[R]], request: Any, timeout: float | None = None
    ) -> R:
        code = grpc.StatusCode.OK
        try:
            return await method(
                request, timeout=timeout or self._settings.platform_timeout_seconds, metadata=self._metadata
            )
        except grpc.aio.AioRpcError as error:
            code = error.code()
            raise _error(who, error) from error
        finally:
            self._metrics.platform_calls.labels(type(request).__name__.removesuffix("Request"), code.name).inc()


_OPTIONS = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),
]

_AWAY = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNIMPLEMENTED,
)


def _error(who: str, error: grpc.aio.AioRpcError) -> PlatformError:
    """Our error of a gRPC one, with the ErrorInfo and RetryInfo that travel in its trailers."""
    reason, retry_after = "", 0.0
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in _details(error):
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToNanoseconds() / 1e9
    if reason:
        message = error.details() or reason
    else:
        message = f"{who} gives no usable answer ({error.code().name}): {error.details() or 'no message'}"
    return PlatformError(message, reason=reason, away=error.code() in _AWAY, retry_after=retry_after)


def _details(error: grpc.aio.AioRpcError) -> list[Any]:
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin" and isinstance(value, bytes):
            return list(status_pb2.Status.FromString(value).details)
    return []
