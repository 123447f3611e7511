"""Replicas of the workspaces service over one PostgreSQL of their own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from integration.workspaces.people_kit import Installation, running_installation
from integration.workspaces.stand_ins import Around, running_around

from pyairtable_devkit.databases import Postgres, Valkey
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.migrations import migrate_async
from pyairtable_platform.common.registry import WorkspaceRegistry
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.common.testing import started
from pyairtable_platform.workspaces.main import Settings, build
from pyairtable_protos.workspaces.v1 import workspace_pb2, workspace_service_pb2_grpc
from pyairtable_protos.workspaces.v1 import workspace_service_pb2 as rpc

_numbers = itertools.count(1)


@dataclass
class Replica:
    """One workspaces service, and a data plane that follows it."""

    target: str
    channel: ServiceChannel
    registry: WorkspaceRegistry
    stub: Any = field(init=False)

    def __post_init__(self) -> None:
        self.stub = workspace_service_pb2_grpc.WorkspaceServiceStub(self.channel.channel)

    async def apply(self, name: str = "acme", *, uid: str = "uid-1", generation: int = 1, **fields: Any) -> Any:
        """ApplyWorkspace; its response."""
        request = rpc.ApplyWorkspaceRequest(
            workspace=workspace_pb2.Workspace(name=name, **fields),
            source=workspace_pb2.Source(kind="Workspace", uid=uid, generation=generation),
        )
        return await self.channel.call(self.stub.ApplyWorkspace, request, timeout=30)

    async def remove(self, name: str = "acme", uid: str = "uid-1") -> bool:
        request = rpc.RemoveWorkspaceRequest(name=name, uid=uid)
        return bool((await self.channel.call(self.stub.RemoveWorkspace, request, timeout=30)).removed)

    async def names(self) -> list[str]:
        """ListWorkspaces, by name."""
        response = await self.channel.call(self.stub.ListWorkspaces, rpc.ListWorkspacesRequest(), timeout=30)
        return [workspace.name for workspace in response.workspaces]

    def knows(self, name: str = "acme", **wanted: Any) -> bool:
        """Whether the data plane that follows this replica has heard of a workspace with these attributes."""
        if name not in self.registry.names():
            return False
        found = self.registry.find(name)
        return all(getattr(found, key) == value for key, value in wanted.items())


OpenReplica = Callable[..., AbstractAsyncContextManager[Replica]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres.start() as server:
        url = server.create_database("registry_template")
        asyncio.run(migrate_async(DatabaseSettings(database_url=url), ("workspaces",)))  # type: ignore[arg-type]
        yield server


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    name = f"registry_{next(_numbers)}"
    yield postgres.create_database(name, template="registry_template")
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    with Valkey.start() as server:
        yield server


@pytest.fixture
async def around() -> AsyncIterator[Around]:
    """The services around, standing in."""
    async with running_around() as running:
        yield running


@pytest.fixture
async def installation(around: Around, database_url: str, valkey: Valkey) -> AsyncIterator[Installation]:
    """Two replicas of the whole service. Each test has a database of Valkey's own, by number."""
    redis_url = f"{valkey.url.rpartition('/')[0]}/{next(_numbers) % 16}"
    async with running_installation(around, database_url, redis_url) as running:
        yield running


@asynccontextmanager
async def open_replica(database_url: str, **changes: Any) -> AsyncIterator[Replica]:
    """A replica over a database, with a data plane that follows it."""
    settings = Settings.model_validate(
        {
            "http_port": 0,
            "grpc_port": 0,
            "shutdown_delay_seconds": 0,
            "shutdown_grace_seconds": 1,
            "database_url": database_url,
            "open_access": True,
            **changes,
        }
    )
    async with started(build, settings) as server, ServiceChannel(server.addresses.grpc_target) as channel:
        registry = WorkspaceRegistry(channel)
        following = asyncio.create_task(registry.follow())
        try:
            replica = Replica(server.addresses.grpc_target, channel, registry)
            await until(lambda: _heard(registry))
            yield replica
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def _heard(registry: WorkspaceRegistry) -> bool:
    try:
        registry.names()
    except ConnectionError:
        return False
    return True


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that happens elsewhere."""
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it did not happen within {seconds:.0f} s")


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas over one database."""
    async with open_replica(database_url) as first, open_replica(database_url) as second:
        yield first, second
