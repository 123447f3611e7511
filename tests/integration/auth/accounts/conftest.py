"""A PostgreSQL with the tables of auth, and two replicas over a database of their own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
from integration.auth.accounts.desks import Replica, replica_over

from pyairtable_devkit.databases import Postgres
from pyairtable_platform.common.migrations import migrate_async
from pyairtable_platform.common.settings import DatabaseSettings

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres.start() as server:
        url = server.create_database("auth_template")
        asyncio.run(migrate_async(DatabaseSettings(database_url=url), ("auth",)))  # type: ignore[arg-type]
        yield server


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    name = f"accounts_{next(_numbers)}"
    yield postgres.create_database(name, template="auth_template")
    postgres.drop_database(name)


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[tuple[Replica, Replica]]:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(replica_over(database_url))
        yield first, await stack.enter_async_context(replica_over(database_url, mailbox=first.mailbox))


@pytest.fixture
def auth(replicas: tuple[Replica, Replica]) -> Replica:
    return replicas[0]


@pytest.fixture
def other(replicas: tuple[Replica, Replica]) -> Replica:
    return replicas[1]
