"""The tools over the real gateway and the Airtable emulator: registry, gateway and tool server in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import yaml

from pyairtable_devkit.airtable.testing import BASE, SECOND_BASE, TOKEN_ALL, EmulatorThread
from pyairtable_devkit.databases import Postgres, Valkey
from pyairtable_platform.airtable_gateway.main import Settings as GatewaySettings
from pyairtable_platform.airtable_gateway.main import build as build_gateway
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.migrations import migrate
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.common.testing import started
from pyairtable_platform.common.values import dict_to_struct, struct_to_dict
from pyairtable_platform.mcp_server.main import Settings, build
from pyairtable_platform.workspaces.main import Settings as RegistrySettings
from pyairtable_platform.workspaces.main import build as build_registry
from pyairtable_protos.tools.v1 import tool_service_pb2 as rpc
from pyairtable_protos.tools.v1.tool_service_pb2_grpc import ToolServiceStub

FAST: dict[str, Any] = {"http_port": 0, "grpc_port": 0, "shutdown_delay_seconds": 0, "shutdown_grace_seconds": 1}


@dataclass
class System:
    """What runs, and clients for the doors of the tool server."""

    channel: ServiceChannel
    http: httpx2.AsyncClient
    mcp_url: str
    gateway_target: str
    emulator: EmulatorThread

    async def tool(self, name: str, key: str = "", **arguments: Any) -> dict[str, Any]:
        """Call a tool over gRPC."""
        stub: Any = ToolServiceStub(self.channel.channel)
        request = rpc.CallToolRequest(name=name, arguments=dict_to_struct(arguments), idempotency_key=key)
        return struct_to_dict((await self.channel.call(stub.CallTool, request, timeout=120)).structured_content)


@pytest.fixture(scope="module")
def databases() -> Iterator[tuple[Postgres, Valkey]]:
    with Postgres.start() as postgres, Valkey.start() as valkey:
        migrate(DatabaseSettings(database_url=postgres.url), ("airtable_gateway", "workspaces"))  # type: ignore[arg-type]
        yield postgres, valkey


@pytest.fixture(scope="module")
def running_emulator() -> Iterator[EmulatorThread]:
    with EmulatorThread(limits=False) as server:
        yield server


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with both bases of the seed."""
    bases = [
        {"name": "crm", "baseId": BASE, "access": "Schema", "default": True},
        {"name": "showroom", "baseId": SECOND_BASE, "access": "ReadOnly"},
    ]
    document = {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "Workspace",
        "metadata": {"name": "acme"},
        "spec": {"airtable": {"bases": bases}},
    }
    folder = tmp_path_factory.mktemp("workspaces")
    (folder / "acme.yaml").write_text(yaml.safe_dump(document))
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_system(
    databases: tuple[Postgres, Valkey], running_emulator: EmulatorThread, documents: Path
) -> AsyncIterator[System]:
    postgres, valkey = databases
    async with AsyncExitStack() as stack:
        registry_settings = RegistrySettings.model_validate(
            {**FAST, "workspaces_path": documents, "database_url": postgres.url}
        )
        registry = await stack.enter_async_context(started(build_registry, registry_settings))
        gateway_settings = GatewaySettings.model_validate(
            {
                **FAST,
                "airtable_api_url": running_emulator.url,
                "airtable_content_url": running_emulator.url,
                "airtable_token": TOKEN_ALL,
                "redis_url": valkey.url,
                "database_url": postgres.url,
                "workspaces_target": registry.addresses.grpc_target,
                "airtable_calls_per_second_per_base": 100,
                "airtable_calls_per_second_per_token": 1000,
            }
        )
        gateway = await stack.enter_async_context(started(build_gateway, gateway_settings))
        settings = Settings.model_validate({**FAST, "airtable_gateway_target": gateway.addresses.grpc_target})
        server = await stack.enter_async_context(started(build, settings))
        url = server.addresses.http_url
        http = await stack.enter_async_context(httpx2.AsyncClient(base_url=url, timeout=120, trust_env=False))
        channel = await stack.enter_async_context(ServiceChannel(server.addresses.grpc_target))
        yield System(channel, http, f"{url}/mcp", gateway.addresses.grpc_target, running_emulator)


@pytest.fixture
def system(running_system: System) -> System:
    """The running system with the seed's data."""
    running_system.emulator.clear_faults()
    running_system.emulator.reset()
    running_system.emulator.settings(limits=False)
    return running_system
