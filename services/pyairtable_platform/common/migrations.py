"""Database migrations: one alembic chain and one schema per service, run by `pyairtable-platform migrate`.

A chain stands in `<service>/migrations/versions/`. All chains run in one process, one after the other; an advisory lock
lets two that start together run once.
"""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from .database import CONNECT_SECONDS, database_errors
from .settings import DatabaseSettings

SERVICES_WITH_TABLES = ("airtable_gateway", "auth", "llm_orchestrator", "workspaces")
_LOCK = 0x70796174  # any number will do, as long as it is always the same


def migrate(settings: DatabaseSettings, services: tuple[str, ...] = SERVICES_WITH_TABLES, to: str = "head") -> None:
    """Bring the schemas of the services to a revision (`head`, `base` or an id)."""
    asyncio.run(migrate_async(settings, services, to))


async def migrate_async(
    settings: DatabaseSettings, services: tuple[str, ...] = SERVICES_WITH_TABLES, to: str = "head"
) -> None:
    """As `migrate`, inside a running loop. Raises Unavailable when PostgreSQL cannot be reached."""
    engine = create_async_engine(settings.database_dsn(), connect_args={"timeout": CONNECT_SECONDS})
    try:
        with database_errors():
            async with engine.connect() as connection:
                await connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
                await connection.commit()
                for service in services:
                    await connection.run_sync(migrate_service, service, to)
    finally:
        await engine.dispose()


def migrate_service(connection: Connection, service: str, to: str) -> None:
    """Run one service's chain on an open connection; its schema is made if it is not there."""
    with connection.begin():
        connection.execute(sqlalchemy.schema.CreateSchema(service, if_not_exists=True))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migration_env"))
    config.set_main_option("version_locations", str(chain_of(service)))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, schema=service)
    if to == "base":
        command.downgrade(config, to)
    else:
        command.upgrade(config, to)


def chain_of(service: str) -> Path:
    """The folder of a service's migrations."""
    package = importlib.import_module(f"pyairtable_platform.{service}")
    assert package.__file__ is not None, f"{service} has no folder"
    return Path(package.__file__).parent / "migrations" / "versions"
