"""Database migrations: one alembic chain, one schema and one role per service, run by `pyairtable-platform migrate`.

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
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from .database import CONNECT_SECONDS, database_errors
from .database_roles import ensure_role, grant_rights, revoke_rights
from .settings import DatabaseSettings

_LOCK = 0x70796174  # any number will do, as long as it is always the same


def services_with_tables() -> tuple[str, ...]:
    """Every service that has a chain."""
    platform = Path(__file__).parent.parent
    return tuple(sorted(folder.parent.parent.name for folder in platform.glob("*/migrations/versions")))


def migrate(settings: DatabaseSettings, services: tuple[str, ...] = (), to: str = "head") -> None:
    """Bring the schemas of the services (of all, when none is named) to a revision (`head`, `base` or an id)."""
    asyncio.run(migrate_async(settings, services, to))


async def migrate_async(settings: DatabaseSettings, services: tuple[str, ...] = (), to: str = "head") -> None:
    """As `migrate`, inside a running loop. Raises Unavailable when PostgreSQL cannot be reached."""
    engine = create_async_engine(settings.database_dsn(), connect_args={"timeout": CONNECT_SECONDS})
    try:
        with database_errors():
            async with engine.connect() as connection:
                await connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
                await connection.commit()
                for service in services or services_with_tables():
                    await connection.run_sync(migrate_service, service, to)
    finally:
        await engine.dispose()


def migrate_service(connection: Connection, service: str, to: str) -> None:
    """Run one service's chain on an open connection; its role and schema are made if they are not there."""
    ensure_role(connection, service)
    with connection.begin():
        connection.execute(sqlalchemy.schema.CreateSchema(service, if_not_exists=True))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migration_env"))
    config.set_main_option("version_locations", str(chain_of(service)))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, schema=service)
    if to == "base":
        revoke_rights(connection, service)
        command.downgrade(config, to)
        return
    if to in _earlier(connection, config, service):
        command.downgrade(config, to)
    else:
        command.upgrade(config, to)
    grant_rights(connection, service)


def _earlier(connection: Connection, config: Config, service: str) -> set[str]:
    """The revisions before the one at which a schema stands."""
    with connection.begin():
        context = MigrationContext.configure(connection, opts={"version_table_schema": service})
        current = context.get_current_revision()
    if current is None:
        return set()
    behind = ScriptDirectory.from_config(config).iterate_revisions(current, "base")
    return {script.revision for script in behind} - {current}


def chain_of(service: str) -> Path:
    """The folder of a service's migrations."""
    package = importlib.import_module(f"pyairtable_platform.{service}")
    assert package.__file__ is not None, f"{service} has no folder"
    return Path(package.__file__).parent / "migrations" / "versions"
