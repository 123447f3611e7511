"""The whole platform in production mode over real databases and the emulators, with clients for its doors."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx2
import pytest
import pytest_asyncio

from pyairtable_devkit.airtable.testing import BASE, TOKEN_ALL, EmulatorThread
from pyairtable_devkit.databases import Postgres, Valkey
from pyairtable_devkit.gemini.testing import GeminiEmulator
from pyairtable_devkit.ports import free_port
from pyairtable_platform.airtable_gateway import main as airtable_gateway
from pyairtable_platform.api_gateway import main as api_gateway
from pyairtable_platform.auth import main as auth
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.migrations import migrate, migrate_async
from pyairtable_platform.common.server import Addresses, RunningService
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.common.testing import started
from pyairtable_platform.llm_orchestrator import main as llm_orchestrator
from pyairtable_platform.mcp_server import main as mcp_server
from pyairtable_platform.workspaces import main as workspaces
from pyairtable_protos.auth.v1 import auth_service_pb2 as rpc
from pyairtable_protos.auth.v1 import auth_service_pb2_grpc
from pyairtable_protos.workspaces.v1 import workspace_pb2, workspace_service_pb2, workspace_service_pb2_grpc

API_KEY = "plainly-not-a-real-api-key"
JWT_SECRET = "plainly-not-a-real-secret-of-this-test"
PEER = (("x-api-key", API_KEY),)
_numbers = itertools.count(1)
SERVICES = {
    "workspaces": workspaces,
    "auth": auth,
    "airtable-gateway": airtable_gateway,
    "mcp-server": mcp_server,
    "llm-orchestrator": llm_orchestrator,
    "api-gateway": api_gateway,
}


def bearer(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}


@dataclass
class Databases:
    """What keeps state, and the emulators."""

    postgres: Postgres
    valkey: Valkey
    airtable: EmulatorThread
    gemini: GeminiEmulator
    jwt_secret: str = JWT_SECRET

    def settings(self, **targets: Any) -> dict[str, Any]:
        """What every service is told; each takes what it knows."""
        return {
            "environment": "production",
            "open_access": False,
            "api_key": API_KEY,
            "jwt_secret": self.jwt_secret,
            "http_port": 0,
            "grpc_port": 0,
            "shutdown_delay_seconds": 0,
            "shutdown_grace_seconds": 1,
            "rate_limit_rpm": 0,
            "database_url": self.postgres.url,
            "redis_url": self.valkey.url,
            "airtable_api_url": self.airtable.url,
            "airtable_content_url": self.airtable.url,
            "airtable_token": TOKEN_ALL,
            "airtable_calls_per_second_per_base": 100,
            "gemini_api_key": self.gemini.key,
            "gemini_api_url": self.gemini.url,
            **targets,
        }


@dataclass
class Platform:
    """The running services by name, and calls as a peer."""

    addresses: dict[str, Addresses]
    servers: dict[str, RunningService] = field(default_factory=dict)
    channels: dict[str, ServiceChannel] = field(default_factory=dict)
    http: httpx2.AsyncClient = field(default_factory=lambda: httpx2.AsyncClient(timeout=60, trust_env=False))

    def url(self, service: str) -> str:
        return self.addresses[service].http_url

    async def auth(self, method: str, request: Any) -> Any:
        """Call AuthService as a peer."""
        channel = self.channel("auth", API_KEY)
        return await channel.call(getattr(auth_service_pb2_grpc.AuthServiceStub(channel.channel), method), request)

    async def key_for(self, workspace: str, **fields: Any) -> str:
        """A new access key."""
        answer = await self.auth("CreateAccessKey", rpc.CreateAccessKeyRequest(workspace=workspace, **fields))
        return str(answer.key)

    async def identity_token(self, key: str) -> str:
        """What a door gets for a key."""
        return str((await self.auth("Authorize", rpc.AuthorizeRequest(credential=key))).identity_token)

    async def declare(self, name: str, *, uid: str = "uid-1", generation: int = 1, suspended: bool = False) -> None:
        """ApplyWorkspace, as the operator does."""
        base = workspace_pb2.BaseBinding(
            name="crm", base_id=BASE, access=workspace_pb2.BASE_ACCESS_SCHEMA, is_default=True
        )
        request = workspace_service_pb2.ApplyWorkspaceRequest(
            workspace=workspace_pb2.Workspace(name=name, suspended=suspended, bases=[base]),
            source=workspace_pb2.Source(kind="Workspace", uid=uid, generation=generation),
        )
        await self._registry("ApplyWorkspace", request)

    async def remove(self, name: str, uid: str = "uid-1") -> None:
        """RemoveWorkspace, as the operator does."""
        await self._registry("RemoveWorkspace", workspace_service_pb2.RemoveWorkspaceRequest(name=name, uid=uid))

    def channel(self, service: str, api_key: str = "") -> ServiceChannel:
        """A channel that shows API_KEY or nothing."""
        name = f"{service} {bool(api_key)}"
        if name not in self.channels:
            target = self.addresses[service].grpc_target
            self.channels[name] = ServiceChannel(target, api_key=api_key or None)
        return self.channels[name]

    async def get(self, service: str, path: str, credential: str = "", **headers: str) -> httpx2.Response:
        shown = bearer(credential) if credential else {}
        return await self.http.get(f"{self.url(service)}{path}", headers=shown | headers)

    async def _registry(self, method: str, request: Any) -> None:
        channel = self.channel("workspaces", API_KEY)
        stub = workspace_service_pb2_grpc.WorkspaceServiceStub(channel.channel)
        await channel.call(getattr(stub, method), request)

    async def stop(self, service: str) -> None:
        """Stop a service for good."""
        await self.servers[service].stop()

    async def close(self) -> None:
        await self.http.aclose()
        await asyncio.gather(*(channel.channel.close() for channel in self.channels.values()))


async def until(condition: Any, seconds: float = 30) -> None:
    """Wait for an async condition to hold."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.02)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres.start() as server:
        url = server.create_database("auth_template")
        asyncio.run(migrate_async(DatabaseSettings(database_url=url), ("auth",)))  # type: ignore[arg-type]
        yield server


@pytest.fixture(scope="module")
def module_database_url(postgres: Postgres) -> Iterator[str]:
    """A database of auth for all tests of a module."""
    name = f"auth_{next(_numbers)}"
    yield postgres.create_database(name, template="auth_template")
    postgres.drop_database(name)


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    name = f"auth_{next(_numbers)}"
    yield postgres.create_database(name, template="auth_template")
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    with (
        Postgres.start() as postgres,
        Valkey.start() as valkey,
        EmulatorThread(limits=False) as airtable,
        GeminiEmulator() as gemini,
    ):
        migrate(DatabaseSettings(database_url=postgres.url))  # type: ignore[arg-type]
        yield Databases(postgres, valkey, airtable, gemini)


@asynccontextmanager
async def running_platform(databases: Databases, names: tuple[str, ...]) -> AsyncIterator[Platform]:
    """Services in the order of their names, each told where the earlier ones are."""
    async with AsyncExitStack() as stack:
        # The registry and auth know each other, so that one of the addresses is chosen beforehand.
        auth_port = free_port()
        targets: dict[str, Any] = {"auth_target": f"127.0.0.1:{auth_port}", "mcp_server_url": "http://127.0.0.1:1/mcp"}
        platform = Platform({})
        stack.push_async_callback(platform.close)
        for name in names:
            module: Any = SERVICES[name]
            port = {"grpc_port": auth_port} if name == "auth" else {}
            settings = module.Settings.model_validate(databases.settings(**targets, **port))
            assert not settings.faults_in_production()
            server = await stack.enter_async_context(started(module.build, settings))
            platform.servers[name] = server
            platform.addresses[name] = server.addresses
            targets[f"{name.replace('-', '_')}_target"] = server.addresses.grpc_target
            if name == "mcp-server":
                targets["mcp_server_url"] = f"{server.addresses.http_url}/mcp"
        yield platform


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(databases: Databases) -> AsyncIterator[Platform]:
    """Everything, with the workspaces acme and beta."""
    async with running_platform(databases, tuple(SERVICES)) as running:
        await running.declare("acme")
        await running.declare("beta")
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def key(platform: Platform) -> str:
    """An access key of acme."""
    return await platform.key_for("acme")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def beta_key(platform: Platform) -> str:
    """An access key of beta."""
    return await platform.key_for("beta")


async def refusal(call: Any) -> grpc.StatusCode | None:
    """The status that a call fails with; None when it works."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return None
