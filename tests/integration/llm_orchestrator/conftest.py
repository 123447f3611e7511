"""Chat with everything real but Airtable and Google: PostgreSQL, gRPC, REST, the Gemini emulator.

The tool server is a small one of ours (`FakeTools`), so that a test sees every call and its idempotency key.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx2
import pytest

from pyairtable_devkit.databases import Postgres
from pyairtable_devkit.gemini.testing import GeminiEmulator
from pyairtable_devkit.ports import free_port
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.migrations import migrate_async
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.common.testing import started
from pyairtable_platform.common.values import dict_to_struct, struct_to_dict
from pyairtable_platform.llm_orchestrator.main import Settings, build
from pyairtable_protos.chat.v1 import chat_service_pb2 as rpc
from pyairtable_protos.chat.v1 import chat_service_pb2_grpc, run_pb2
from pyairtable_protos.tools.v1 import tool_service_pb2, tool_service_pb2_grpc
from pyairtable_protos.workspaces.v1 import workspace_pb2, workspace_service_pb2, workspace_service_pb2_grpc

StartChats = Callable[..., Any]
Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass
class FakeTools(tool_service_pb2_grpc.ToolServiceServicer):
    """A ToolService with one reading and one writing tool; a repeated key returns the first answer, as it must."""

    calls: list[tool_service_pb2.CallToolRequest] = field(default_factory=list)
    written: dict[str, dict[str, Any]] = field(default_factory=dict)
    handlers: dict[str, Handler] = field(default_factory=dict)
    tenants: list[str] = field(default_factory=list)
    roles: set[str] = field(default_factory=set)
    target: str = ""

    async def ListTools(self, request: Any, call: Any) -> tool_service_pb2.ListToolsResponse:
        self.roles |= {f"{value} lists" for key, value in call.invocation_metadata() if key == "pyairtable-role"}
        return tool_service_pb2.ListToolsResponse(
            tools=[_tool("create_record", read_only=False), _tool("list_tables", read_only=True)]
        )

    async def CallTool(self, request: tool_service_pb2.CallToolRequest, call: Any) -> Any:
        self.calls.append(request)
        self.tenants += [value for key, value in call.invocation_metadata() if key == "pyairtable-tenant"]
        self.roles |= {f"{value} calls" for key, value in call.invocation_metadata() if key == "pyairtable-role"}
        arguments = struct_to_dict(request.arguments)
        if request.name in self.handlers:
            answer = await self.handlers[request.name](arguments)
        elif request.name == "create_record":
            answer = {"id": "rec1", "fields": arguments.get("fields", {})}
        else:
            answer = {"tables": [{"id": "tbl1", "name": "Projects"}, {"id": "tbl2", "name": "Tasks"}], "count": 2}
        if request.name == "create_record":
            answer = self.written.setdefault(request.idempotency_key, answer)
        return tool_service_pb2.CallToolResponse(structured_content=dict_to_struct(answer))

    def ExportTableCsv(self, request: Any, call: Any) -> Any:
        raise AssertionError("chat never exports")


def _tool(name: str, *, read_only: bool) -> tool_service_pb2.Tool:
    schema = {"type": "object", "properties": {"base_id": {"type": "string"}, "fields": {"type": "object"}}}
    return tool_service_pb2.Tool(
        name=name,
        description=name,
        input_schema=dict_to_struct(schema),
        annotations=tool_service_pb2.ToolAnnotations(read_only=read_only),
    )


@dataclass
class Chats:
    """A running orchestrator and a client of it."""

    url: str
    channel: ServiceChannel
    process: asyncio.subprocess.Process | None = None

    def __post_init__(self) -> None:
        self.stub: Any = chat_service_pb2_grpc.ChatServiceStub(self.channel.channel)

    async def chat(self, message: str, **fields: Any) -> rpc.ChatResponse:
        request = rpc.ChatRequest(**{"workspace": "acme", "message": message, **fields})
        answer: rpc.ChatResponse = await self.channel.call(self.stub.Chat, request, timeout=60)
        return answer

    async def call(self, method: str, request: Any) -> Any:
        return await self.channel.call(getattr(self.stub, method), request, timeout=30)

    def stream(self, message: str, **fields: Any) -> AsyncIterator[Any]:
        chat = rpc.ChatRequest(**{"workspace": "acme", "message": message, **fields})
        return self.channel.stream(self.stub.StreamChat, rpc.StreamChatRequest(chat=chat), timeout=60)

    def watch(self, run_id: str, after: int = 0) -> AsyncIterator[Any]:
        request = rpc.WatchRunRequest(workspace="acme", run_id=run_id, after_event_id=after)
        return self.channel.stream(self.stub.WatchRun, request, timeout=60)

    async def begin(self, message: str, **fields: Any) -> str:
        """Start a run, leave at once, return its id."""
        events = self.stream(message, **fields)
        async for response in events:
            await events.aclose()  # type: ignore[attr-defined]
            return str(response.event.run_id)
        raise AssertionError("the run has no events")

    async def run(self, run_id: str) -> run_pb2.Run:
        """A run as it stands."""
        response: rpc.GetRunResponse = await self.call("GetRun", rpc.GetRunRequest(workspace="acme", run_id=run_id))
        return response.run

    async def events(self, run_id: str, after: int = 0) -> list[Any]:
        """All events of a run, to its end."""
        return [response.event async for response in self.watch(run_id, after)]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres.start() as server:
        server.create_database("chat_template")
        url = server.database_url("chat_template")
        asyncio.run(migrate_async(DatabaseSettings(database_url=url), ("llm_orchestrator",)))  # type: ignore[arg-type]
        yield server


_numbers = itertools.count(1)


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    name = f"chat_{next(_numbers)}"
    yield postgres.create_database(name, template="chat_template")
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def gemini_server() -> Iterator[GeminiEmulator]:
    with GeminiEmulator() as emulator:
        yield emulator


@pytest.fixture
def gemini(gemini_server: GeminiEmulator) -> GeminiEmulator:
    gemini_server.reset()
    return gemini_server


class Registry(workspace_service_pb2_grpc.WorkspaceServiceServicer):
    """Two workspaces, and what a test makes of them."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Queue[Any]] = set()

    def put(self, workspace: workspace_pb2.Workspace) -> None:
        """Tell all who watch of a changed workspace."""
        for watcher in self._watchers:
            watcher.put_nowait(workspace_service_pb2.WatchWorkspacesResponse(applied=workspace))

    async def WatchWorkspaces(self, request: Any, call: Any) -> AsyncIterator[Any]:
        changes: asyncio.Queue[Any] = asyncio.Queue()
        self._watchers.add(changes)
        workspaces = [registered("acme", "appEmulatorCrm001"), registered("other", "appEmulatorOth001")]
        snapshot = workspace_service_pb2.WorkspaceSnapshot(workspaces=workspaces)
        yield workspace_service_pb2.WatchWorkspacesResponse(snapshot=snapshot)
        while True:
            yield await changes.get()


def registered(name: str, base_id: str = "appEmulatorCrm001", **fields: Any) -> workspace_pb2.Workspace:
    """A workspace as the registry tells it."""
    base = workspace_pb2.BaseBinding(
        name="crm", base_id=base_id, access=workspace_pb2.BASE_ACCESS_READ_WRITE, is_default=True
    )
    return workspace_pb2.Workspace(name=name, bases=[base], **fields)


@pytest.fixture
def registry() -> Registry:
    return Registry()  # type: ignore[abstract] # chat only watches


@pytest.fixture
async def tools(registry: Registry) -> AsyncIterator[FakeTools]:
    """The tool server; the registry of workspaces answers on the same port."""
    fake = FakeTools()
    server = grpc.aio.server()
    tool_service_pb2_grpc.add_ToolServiceServicer_to_server(fake, server)
    workspace_service_pb2_grpc.add_WorkspaceServiceServicer_to_server(registry, server)
    fake.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield fake
    await server.stop(None)


@pytest.fixture
def chat_settings(database_url: str, gemini: GeminiEmulator, tools: FakeTools) -> dict[str, Any]:
    """Settings that lead to the databases and servers of this test."""
    return {
        "http_port": 0,
        "grpc_port": 0,
        "database_url": database_url,
        "gemini_api_key": gemini.key,
        "gemini_api_url": gemini.url,
        "mcp_server_target": tools.target,
        "workspaces_target": tools.target,
        "use_http_mcp": False,
        "lease_seconds": 2,
        "shutdown_delay_seconds": 0,
        "shutdown_grace_seconds": 0.5,
    }


@pytest.fixture
def start_chats(chat_settings: dict[str, Any]) -> StartChats:
    """Starts orchestrators on the same database: `async with start_chats(turn_seconds=5) as chats`."""

    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[Chats]:
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(started(build, Settings(**{**chat_settings, **changes})))
            channel = await stack.enter_async_context(ServiceChannel(server.addresses.grpc_target))
            yield Chats(server.addresses.http_url, channel)

    return start


@pytest.fixture
def spawn_chats(chat_settings: dict[str, Any]) -> StartChats:
    """The same in a process of its own, for tests that kill or pause it."""

    @asynccontextmanager
    async def spawn(**changes: Any) -> AsyncIterator[Chats]:
        http, rpc_port = free_port(), free_port()
        settings = {**chat_settings, **changes, "http_port": http, "grpc_port": rpc_port}
        environment = {**os.environ, **{name.upper(): str(value) for name, value in settings.items()}}
        command = [sys.executable, "-m", "pyairtable_platform.cli", "serve", "llm-orchestrator"]
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        try:
            async with ServiceChannel(f"127.0.0.1:{rpc_port}") as channel:
                await _until_ready(http)
                yield Chats(f"http://127.0.0.1:{http}", channel, process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    return spawn


async def _until_ready(port: int) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:

        async def ready() -> bool:
            try:
                return (await http.get("/ready")).status_code == 200
            except httpx2.TransportError:
                return False

        await until(ready, seconds=120, pause=0.3)


async def until(condition: Callable[[], Any], seconds: float = 30, pause: float = 0.02) -> None:
    """Wait for a condition (plain or async) to hold."""
    async with asyncio.timeout(seconds):
        while True:
            holds = condition()
            if holds if not isinstance(holds, Awaitable) else await holds:
                return
            await asyncio.sleep(pause)


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Awaitable[None]]:
    return until


@pytest.fixture
async def chats(start_chats: StartChats) -> AsyncIterator[Chats]:
    async with start_chats() as running:
        yield running
