"""A schema with a ledger and an outbox, as a service of the tests has it, in a real PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import sqlalchemy
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pyairtable_devkit.databases import Postgres
from pyairtable_platform.common import effects, events
from pyairtable_platform.common.database import EVERY_WORKSPACE, open_engine, transaction
from pyairtable_platform.common.database_roles import ensure_role, grant_rights
from pyairtable_platform.common.settings import DatabaseSettings

SCHEMA = "events_test"
_numbers = itertools.count(1)


async def make_database(postgres: Postgres) -> str:
    """A database with the schema, and a table `heard` that notes events; its address."""
    url = postgres.create_database(f"events_{next(_numbers)}")
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.connect() as connection:
        await connection.run_sync(_make_tables)
    await engine.dispose()
    return url


def _make_tables(connection: Connection) -> None:
    ensure_role(connection, SCHEMA)
    with connection.begin():
        connection.execute(sqlalchemy.text(f"CREATE SCHEMA {SCHEMA}"))
        connection.execute(sqlalchemy.text(f"SET LOCAL search_path TO {SCHEMA}"))
        with Operations.context(MigrationContext.configure(connection)):
            effects.create_table()
            events.create_table()
        connection.execute(sqlalchemy.text("CREATE TABLE alembic_version (version_num text)"))
        connection.execute(sqlalchemy.text("CREATE TABLE heard (number bigserial, event_id text, times int)"))
    grant_rights(connection, SCHEMA)


def engine_over(url: str, pool: int = 5) -> AsyncEngine:
    return open_engine(DatabaseSettings.model_validate({"database_url": url, "db_pool_size": pool}), SCHEMA)


async def rows(engine: AsyncEngine, statement: str, workspace: str = EVERY_WORKSPACE, **values: Any) -> list[Any]:
    async with transaction(engine, workspace) as connection:
        result = await connection.execute(sqlalchemy.text(statement), values)
        return list(result.all()) if result.returns_rows else []


def numbered(subject: str, count: int, start: int = 0) -> Iterator[events.Event]:
    for number in range(start, start + count):
        yield events.Event("test.happened.v1", subject, data={"number": number})
