"""A double of the platform for tests of the operator: the three services it calls, as one real gRPC server in memory.

    with PlatformDouble() as platform:
        platform.bases["appAAAAAAAAAAAAAA"] = base("Sales", tables={"Orders": "1"})
        ... start the operator with platform.env ...
        assert platform.registry["acme"].suspended

What the operator told stands in `registry`, `keys` and `calls`; what it is to hear is put into `bases`, `bad_versions`
and `faults`. It knows nothing of Airtable and checks no credential: that is the real services' part.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as airtable_pb2
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2_grpc as airtable_grpc
from pyairtable_protos.auth.v1 import auth_service_pb2 as auth_pb2
from pyairtable_protos.auth.v1 import auth_service_pb2_grpc as auth_grpc
from pyairtable_protos.common.v1 import error_reason_pb2
from pyairtable_protos.workspaces.v1 import workspace_pb2, workspace_service_pb2
from pyairtable_protos.workspaces.v1 import workspace_service_pb2_grpc as workspaces_grpc

SERVICES = ("workspaces", "auth", "airtable")


def base(
    name: str, *, permission: str = "create", tables: Mapping[str, str] | None = None
) -> airtable_pb2.VerifiedBase:
    """A base as the token sees it; `tables` maps names to fingerprints."""
    tables = tables if tables is not None else {"Orders": "0000000000000001"}
    return airtable_pb2.VerifiedBase(
        name=name,
        permission_level=permission,
        tables=[
            airtable_pb2.VerifiedTable(id=f"tbl{name}{table}"[:17].ljust(17, "0"), name=table, fingerprint=fingerprint)
            for table, fingerprint in tables.items()
        ],
        fingerprint="-".join(sorted(tables.values()))[:64],
    )


def missing_base() -> airtable_pb2.VerifiedBase:
    """What Airtable says of a base that the token does not see."""
    return airtable_pb2.VerifiedBase(
        reason=error_reason_pb2.ERROR_REASON_BASE_NOT_FOUND, problem="the token does not see this base"
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """What a service answers instead: a status code with a reason, after a delay. No code: only the delay."""

    code: grpc.StatusCode | None = None
    reason: str = ""
    message: str = "made up by the test"
    seconds: float = 0.0


@dataclass
class State:
    """What the operator told, and what it is to hear."""

    registry: dict[str, workspace_pb2.Workspace] = field(default_factory=dict)
    keys: dict[str, dict[str, auth_pb2.DeclaredAccessKey]] = field(default_factory=dict)
    key_uids: dict[str, str] = field(default_factory=dict)
    """The object that the keys of a workspace are for."""
    calls: Counter[str] = field(default_factory=Counter)
    bases: dict[str, airtable_pb2.VerifiedBase] = field(default_factory=dict)
    bad_versions: dict[str, str] = field(default_factory=dict)
    default_base: Callable[[str], airtable_pb2.VerifiedBase] = lambda base_id: base(f"Base {base_id[3:]}")
    usage: dict[str, int] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    verified: list[airtable_pb2.VerifyBindingsRequest] = field(default_factory=list)
    before_write: Callable[[str, str], None] = lambda rpc, workspace: None
    """Called with each RPC that changes something, and its workspace, before it does."""


class PlatformDouble:
    """The server, in a thread of its own with its own event loop; its attributes may be read and set by tests."""

    def __init__(self, state: State | None = None) -> None:
        """Does not listen yet."""
        self.state = state or State()
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def env(self) -> dict[str, str]:
        """Environment of an operator that is to use it."""
        target = f"127.0.0.1:{self.port}"
        return {"WORKSPACES_TARGET": target, "AUTH_TARGET": target, "AIRTABLE_GATEWAY_TARGET": target}

    def fail(self, code: grpc.StatusCode, reason: str = "", *services: str, seconds: float = 0.0) -> None:
        """From now on these services (all when none is named) answer so."""
        for service in services or SERVICES:
            self.state.faults[service] = Fault(code, reason, seconds=seconds)

    def slow(self, seconds: float, *services: str) -> None:
        """From now on these services take so long."""
        for service in services or SERVICES:
            self.state.faults[service] = Fault(seconds=seconds)

    def heal(self) -> None:
        """No more faults."""
        self.state.faults.clear()

    def start(self) -> None:
        """Listens; on the same port as before after `stop`."""
        ready: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True, name="platform-double")
        self._thread.start()
        self.port = ready.result(timeout=30)

    def stop(self) -> None:
        """Nobody listens any more; the state stays."""
        loop, stopping, thread = self._loop, self._stopping, self._thread
        if loop is None or stopping is None or thread is None:
            return
        loop.call_soon_threadsafe(stopping.set)
        thread.join(timeout=30)
        self._loop = self._stopping = self._thread = None

    def _run(self, ready: Future[int]) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            self._stopping = asyncio.Event()
            server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
            workspaces_grpc.add_WorkspaceServiceServicer_to_server(_Workspaces(self.state), server)  # type: ignore[abstract]
            auth_grpc.add_AuthServiceServicer_to_server(_Auth(self.state), server)  # type: ignore[abstract]
            airtable_grpc.add_AirtableGatewayServiceServicer_to_server(_Airtable(self.state), server)  # type: ignore[abstract]
            port = server.add_insecure_port(f"127.0.0.1:{self.port}")
            await server.start()
            ready.set_result(port)
            await self._stopping.wait()
            await server.stop(None)

        try:
            asyncio.run(serve())
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise


async def _enter(state: State, service: str, rpc: str, context: Any, writes_to: str = "") -> None:
    """Counts the call and plays the fault, if there is one."""
    state.calls[rpc] += 1
    if writes_to:
        state.before_write(rpc, writes_to)
    fault = state.faults.get(service)
    if fault is None:
        return
    if fault.seconds:
        await asyncio.sleep(fault.seconds)
    if fault.code is not None:
        await _refuse(context, fault.code, fault.reason, fault.message)


async def _refuse(context: Any, code: grpc.StatusCode, reason: str, message: str) -> None:
    if reason:
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="pyairtable.dev"))
        status = status_pb2.Status(code=code.value[0], message=message, details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(code, message)


class _Workspaces(workspaces_grpc.WorkspaceServiceServicer):
    def __init__(self, state: State) -> None:
        self.state = state

    async def ApplyWorkspace(
        self, request: workspace_service_pb2.ApplyWorkspaceRequest, context: Any
    ) -> workspace_service_pb2.ApplyWorkspaceResponse:
        await _enter(self.state, "workspaces", "ApplyWorkspace", context, request.workspace.name)
        name = request.workspace.name
        entry = workspace_pb2.Workspace()
        entry.CopyFrom(request.workspace)
        entry.source.CopyFrom(request.source)
        old = self.state.registry.get(name)
        if old is not None and old.source.kind == "Api":
            text = f'workspace "{name}" was made by a call: delete it there first, or choose another name'
            await _refuse(context, grpc.StatusCode.FAILED_PRECONDITION, "CONFLICT", text)
        if old is not None and old.source.uid == entry.source.uid and old.source.generation > entry.source.generation:
            await _refuse(context, grpc.StatusCode.FAILED_PRECONDITION, "CONFLICT", "a later generation was applied")
        entry.version = (old.version if old else 0) + 1
        changed = old is None or _without_version(old) != _without_version(entry)
        if changed:
            self.state.registry[name] = entry
        return workspace_service_pb2.ApplyWorkspaceResponse(workspace=self.state.registry[name], changed=changed)

    async def RemoveWorkspace(
        self, request: workspace_service_pb2.RemoveWorkspaceRequest, context: Any
    ) -> workspace_service_pb2.RemoveWorkspaceResponse:
        await _enter(self.state, "workspaces", "RemoveWorkspace", context, request.name)
        entry = self.state.registry.get(request.name)
        removed = entry is not None and request.uid in ("", entry.source.uid)
        if removed:
            del self.state.registry[request.name]
        return workspace_service_pb2.RemoveWorkspaceResponse(removed=removed)

    async def ListWorkspaces(
        self, request: workspace_service_pb2.ListWorkspacesRequest, context: Any
    ) -> workspace_service_pb2.ListWorkspacesResponse:
        await _enter(self.state, "workspaces", "ListWorkspaces", context)
        names = sorted(name for name in self.state.registry if name > request.page_token)
        size = request.page_size or 100
        token = names[size - 1] if len(names) > size else ""
        entries = [self.state.registry[name] for name in names[:size]]
        return workspace_service_pb2.ListWorkspacesResponse(workspaces=entries, next_page_token=token)


def _without_version(entry: workspace_pb2.Workspace) -> bytes:
    copy = workspace_pb2.Workspace()
    copy.CopyFrom(entry)
    copy.version = 0
    return copy.SerializeToString(deterministic=True)


class _Auth(auth_grpc.AuthServiceServicer):
    def __init__(self, state: State) -> None:
        self.state = state

    async def ApplyAccessKeys(
        self, request: auth_pb2.ApplyAccessKeysRequest, context: Any
    ) -> auth_pb2.ApplyAccessKeysResponse:
        await _enter(self.state, "auth", "ApplyAccessKeys", context, request.workspace)
        name, declared = request.workspace, {key.key_id: key for key in request.keys}
        if not declared and request.uid and request.uid != self.state.key_uids.get(name, request.uid):
            return auth_pb2.ApplyAccessKeysResponse()  # those are another object's
        before = self.state.keys.get(name, {}), self.state.key_uids.get(name)
        self.state.keys[name], self.state.key_uids[name] = declared, request.uid
        changed = before != (declared, request.uid)
        return auth_pb2.ApplyAccessKeysResponse(changed=changed)


class _Airtable(airtable_grpc.AirtableGatewayServiceServicer):
    def __init__(self, state: State) -> None:
        self.state = state

    async def VerifyBindings(
        self, request: airtable_pb2.VerifyBindingsRequest, context: Any
    ) -> airtable_pb2.VerifyBindingsResponse:
        await _enter(self.state, "airtable", "VerifyBindings", context)
        self.state.verified.append(request)
        reason = self.state.bad_versions.get(request.credential.version)
        if reason is not None:
            await _refuse(context, grpc.StatusCode.FAILED_PRECONDITION, reason, "Airtable refused the token")
        response = airtable_pb2.VerifyBindingsResponse(user_id="usrDouble00000000")
        for base_id in request.base_ids:
            found = response.bases.add()
            found.CopyFrom(self.state.bases.get(base_id) or self.state.default_base(base_id))
            found.base_id = base_id
        return response

    async def GetUsage(self, request: airtable_pb2.GetUsageRequest, context: Any) -> airtable_pb2.GetUsageResponse:
        await _enter(self.state, "airtable", "GetUsage", context)
        month = time.strftime("%Y-%m", time.gmtime())
        return airtable_pb2.GetUsageResponse(month=month, calls=self.state.usage.get(request.workspace, 0))
