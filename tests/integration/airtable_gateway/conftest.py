"""The gateway on free ports between an Airtable emulator, an embedded PostgreSQL and Valkey, and a registry."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from pyairtable_devkit.airtable.testing import BASE, SECOND_BASE, TOKEN_ALL, EmulatorThread
from pyairtable_devkit.databases import Postgres, Valkey
from pyairtable_platform.airtable_gateway.main import Settings, build
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.migrations import migrate
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.common.testing import started
from pyairtable_platform.common.values import dict_to_struct
from pyairtable_platform.workspaces.main import Settings as RegistrySettings
from pyairtable_platform.workspaces.main import build as build_registry
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2 as rpc
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2_grpc, record_pb2

WORKSPACE = "acme"


def new_rows(table: str, rows: Sequence[dict[str, Any]], **options: Any) -> rpc.CreateRecordsRequest:
    """A request to create rows in the workspace's default base."""
    records = [record_pb2.NewRecord(fields=dict_to_struct(fields)) for fields in rows]
    return rpc.CreateRecordsRequest(workspace=WORKSPACE, base_id="crm", table_id=table, records=records, **options)


def create_past_the_gateway(emulator: EmulatorThread, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Records that somebody else makes; their ids."""
    answer = httpx2.post(
        f"{emulator.url}/v0/{BASE}/Contacts",
        json={"records": [{"fields": fields} for fields in rows]},
        headers=emulator.auth(),
    )
    return [record["id"] for record in answer.json()["records"]]


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that happens elsewhere."""
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it did not happen within {seconds:.0f} s")


@dataclass
class Gateway:
    """A running gateway and clients for both of its doors."""

    channel: ServiceChannel
    stub: Any
    http: httpx2.AsyncClient
    grpc_target: str

    async def call(self, method: str, request: Any, *, timeout: float = 60) -> Any:
        """Call an RPC by name."""
        return await self.channel.call(getattr(self.stub, method), request, timeout=timeout)


OpenGateway = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    with Valkey.start() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres.start() as server:
        url = server.create_database("gateway_template")
        migrate(DatabaseSettings(database_url=url), ("airtable_gateway", "workspaces"))  # type: ignore[arg-type]
        yield server


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    name = f"gateway_{uuid.uuid4().hex[:12]}"
    yield postgres.create_database(name, template="gateway_template")
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[EmulatorThread]:
    with EmulatorThread(penalty=1.0) as server:
        yield server


@pytest.fixture
def emulator(shared_emulator: EmulatorThread) -> EmulatorThread:
    """Seed data and no limits: what is about limits switches them on."""
    shared_emulator.reset()
    shared_emulator.settings(limits=False, penalty=1.0)
    return shared_emulator


def workspace_document(name: str = WORKSPACE, **airtable: Any) -> dict[str, Any]:
    """A Workspace document with both bases of the seed."""
    bases = [
        {"name": "crm", "baseId": BASE, "access": "Schema", "default": True},
        {"name": "showroom", "baseId": SECOND_BASE, "access": "ReadOnly"},
    ]
    return {
        "apiVersion": "pyairtable.dev/v1alpha1",
        "kind": "Workspace",
        "metadata": {"name": name},
        "spec": {"airtable": {"bases": bases} | airtable},
    }


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """The folder of Workspace documents; a test may write others into it."""
    folder = tmp_path / "workspaces"
    folder.mkdir()
    write_document(folder, workspace_document())
    return folder


def write_document(folder: Path, document: dict[str, Any]) -> None:
    (folder / f"{document['metadata']['name']}.yaml").write_text(yaml.safe_dump(document))


@pytest.fixture
async def registry_target(documents: Path, database_url: str) -> AsyncIterator[str]:
    settings = RegistrySettings.model_validate(
        {
            "http_port": 0,
            "grpc_port": 0,
            "workspaces_path": documents,
            "database_url": database_url,
            "shutdown_delay_seconds": 0,
            "shutdown_grace_seconds": 1,
        }
    )
    async with started(build_registry, settings) as server:
        yield server.addresses.grpc_target


@pytest.fixture
def open_gateway(emulator: EmulatorThread, valkey: Valkey, database_url: str, registry_target: str) -> OpenGateway:
    """Opens a gateway: `async with open_gateway(gateway_replicas=2) as gateway`. Limits are Airtable's unless given."""

    @asynccontextmanager
    async def opened(**changes: Any) -> AsyncIterator[Gateway]:
        values: dict[str, Any] = {
            "http_port": 0,
            "grpc_port": 0,
            "shutdown_delay_seconds": 0,
            "shutdown_grace_seconds": 1,
            "airtable_api_url": emulator.url,
            "airtable_content_url": emulator.url,
            "airtable_token": TOKEN_ALL,
            "airtable_penalty_seconds": 1.2,
            "redis_url": valkey.url,
            "database_url": database_url,
            "workspaces_target": registry_target,
        }
        async with started(build, Settings(**(values | changes))) as server:
            addresses = server.addresses
            async with (
                ServiceChannel(addresses.grpc_target) as channel,
                httpx2.AsyncClient(base_url=addresses.http_url, timeout=60) as http,
            ):
                stub: Any = airtable_gateway_service_pb2_grpc.AirtableGatewayServiceStub(channel.channel)
                yield Gateway(channel, stub, http, addresses.grpc_target)

    return opened


@pytest.fixture
async def gateway(open_gateway: OpenGateway) -> AsyncIterator[Gateway]:
    """A gateway that paces nothing, for tests that are not about limits."""
    async with open_gateway(airtable_calls_per_second_per_base=100, airtable_calls_per_second_per_token=1000) as opened:
        yield opened
