"""The user service over real databases; the services beside it are small ones of ours, over real gRPC."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
from integration.users.calling import API_KEY, FakePeers, UsersClient, serving

from pyairtable_devkit.databases import Postgres, Valkey
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.migrations import migrate_async
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.common.testing import started
from pyairtable_platform.users.main import Settings, build

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def users_postgres() -> Iterator[Postgres]:
    with Postgres.start() as server:
        server.create_database("users_template")
        url = server.database_url("users_template")
        asyncio.run(migrate_async(DatabaseSettings(database_url=url), ("users",)))  # type: ignore[arg-type]
        yield server


@pytest.fixture(scope="session")
def users_valkey() -> Iterator[Valkey]:
    with Valkey.start() as server:
        yield server


@pytest.fixture
def users_database(users_postgres: Postgres) -> Iterator[str]:
    name = f"users_{next(_numbers)}"
    yield users_postgres.create_database(name, template="users_template")
    users_postgres.drop_database(name)


@pytest.fixture
async def peers() -> AsyncIterator[FakePeers]:
    fake = FakePeers()
    async with serving(fake):
        yield fake


@pytest.fixture
async def users(users_database: str, users_valkey: Valkey, peers: FakePeers) -> AsyncIterator[UsersClient]:
    settings = Settings.model_validate(
        {
            "environment": "production",
            "api_key": API_KEY,
            "http_port": 0,
            "grpc_port": 0,
            "shutdown_delay_seconds": 0,
            "shutdown_grace_seconds": 1,
            "database_url": users_database,
            "redis_url": users_valkey.url,
            **dict.fromkeys(
                ("auth_target", "workspaces_target", "llm_orchestrator_target", "sagas_target"), peers.target
            ),
        }
    )
    async with started(build, settings) as server, ServiceChannel(server.addresses.grpc_target) as channel:
        yield UsersClient(server, peers, channel)
