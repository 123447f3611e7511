# ruff: noqa: S608 - names of tables come from the catalogue
"""What each service's role may do, by direct SQL as that role; and that row security alone keeps workspaces apart."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pyairtable_devkit.databases import Postgres
from pyairtable_platform.common.database import EVERY_WORKSPACE, open_engine, role_of, transaction
from pyairtable_platform.common.database_roles import ensure_role
from pyairtable_platform.common.errors import FailedPrecondition, Unavailable
from pyairtable_platform.common.migrations import migrate_async, services_with_tables
from pyairtable_platform.common.settings import DatabaseSettings

SCHEMAS = services_with_tables()

# Tables with such a column, and their row security. Views and other schemas have no place for workspaces.
_GUARDS = """
SELECT n.nspname AS schema, c.relname AS name, a.attname AS column, c.relrowsecurity AS is_on,
       c.relforcerowsecurity AS is_forced, count(p.polname) AS policies
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped AND a.attname IN ('workspace', 'tenant')
LEFT JOIN pg_policy p ON p.polrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2
"""
_POLICIES = """
SELECT n.nspname, c.relname, (regexp_match(pg_get_expr(polqual, polrelid), '\\(([a-z_]+) = NULLIF'))[1]
FROM pg_policy p JOIN pg_class c ON c.oid = polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE polname = 'one_workspace' ORDER BY 1, 2
"""
_OWNED = """
SELECT 'relation ' || relname FROM pg_class WHERE relowner = to_regrole(:role)
UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspowner = to_regrole(:role)
UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE proowner = to_regrole(:role)
UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typowner = to_regrole(:role)
"""
_ROLE = """
SELECT rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolbypassrls, rolreplication
FROM pg_roles WHERE rolname = :role
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres.start() as server:
        url = server.create_database("all_services")
        asyncio.run(migrate_async(settings(url)))
        yield server


def settings(url: str) -> DatabaseSettings:
    return DatabaseSettings.model_validate({"database_url": url, "db_pool_size": 2})


@pytest.fixture
async def engines(postgres: Postgres) -> AsyncIterator[dict[str, AsyncEngine]]:
    opened = {schema: open_engine(settings(postgres.database_url("all_services")), schema) for schema in SCHEMAS}
    yield opened
    for engine in opened.values():
        await engine.dispose()


async def rows(engine: AsyncEngine, statement: str, workspace: str = EVERY_WORKSPACE, **values: Any) -> list[Any]:
    async with transaction(engine, workspace) as connection:
        result = await connection.execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []


def guarded(postgres: Postgres) -> list[tuple[str, str, str]]:
    """Schema, table and column of every policy."""
    listed = [line.split("|") for line in postgres.execute(_POLICIES, "all_services").splitlines()]
    return [(parts[0], parts[1], parts[2]) for parts in listed]


def test_no_table_with_a_workspace_lacks_forced_row_security(postgres: Postgres) -> None:
    listed = [line.split("|") for line in postgres.execute(_GUARDS, "all_services").splitlines()]
    assert {parts[0] for parts in listed} >= {"airtable_gateway", "auth", "llm_orchestrator"}
    lacking = [parts[:3] for parts in listed if parts[3:5] != ["t", "t"] or int(parts[5]) < 1]
    assert lacking == []


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_a_role_owns_nothing_and_changes_no_table(engines: dict[str, AsyncEngine], schema: str) -> None:
    engine, role = engines[schema], role_of(schema)
    assert [tuple(row) for row in await rows(engine, _ROLE, role=role)] == [(False,) * 6]
    assert await rows(engine, _OWNED, role=role) == []
    assert (await rows(engine, "SELECT current_user"))[0][0] == role
    table = (await rows(engine, "SELECT tablename FROM pg_tables WHERE schemaname = :s ORDER BY 1", s=schema))[0][0]
    for statement in (
        "CREATE TABLE mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine",
        f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} ADD COLUMN mine int",
        f"CREATE POLICY mine ON {table} USING (true)",
        f"DROP TABLE {table}",
        f"TRUNCATE {table}",
        "CREATE ROLE mine",
        "SELECT * FROM alembic_version",
        "SELECT pg_read_file('/etc/hostname')",
        "SELECT rolpassword FROM pg_authid",
    ):
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
            await rows(engine, statement)


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_a_role_reads_no_other_schema(postgres: Postgres, engines: dict[str, AsyncEngine], schema: str) -> None:
    found = postgres.execute("SELECT schemaname, tablename FROM pg_tables", "all_services").splitlines()
    others = [line.split("|") for line in found if line.split("|")[0] in SCHEMAS and line.split("|")[0] != schema]
    assert others
    for other, table in others:
        with pytest.raises(ProgrammingError, match="permission denied for schema"):
            await rows(engines[schema], f"SELECT 1 FROM {other}.{table}")


async def fill(postgres: Postgres, schema: str, table: str, column: str, workspace: str) -> None:
    """A row of a workspace, made as superuser past all constraints, with something in each column that wants it."""
    connection = await asyncpg.connect(postgres.database_url("all_services"))
    try:
        wanted = await connection.fetch(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 "
            "AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' AND column_name <> $3",
            *(schema, table, column),
        )
        names = [f'"{row["column_name"]}"' for row in wanted]
        values = [_SAMPLES[row["data_type"]] for row in wanted]
        await connection.execute("SET session_replication_role = replica")  # no foreign keys
        for constraint in await _checks(connection, schema, table):
            await connection.execute(f'ALTER TABLE {schema}.{table} DROP CONSTRAINT "{constraint}"')
        statement = f'INSERT INTO {schema}."{table}" ("{column}", {", ".join(names)}) VALUES ($1, {", ".join(values)})'
        await connection.execute(statement.replace(", )", ")"), workspace)
    finally:
        await connection.close()


async def _checks(connection: Any, schema: str, table: str) -> list[str]:
    found = await connection.fetch(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = ($1 || '.' || $2)::regclass",
        schema,
        table,
    )
    return [row["conname"] for row in found]


_SAMPLES = {
    "date": "current_date",
    "text": "md5(random()::text)",
    "integer": "1",
    "bigint": "1",
    "smallint": "1",
    "numeric": "1",
    "boolean": "true",
    "bytea": "'x'::bytea",
    "timestamp with time zone": "now()",
    "uuid": "gen_random_uuid()",
    "json": "'{}'",
    "jsonb": "'{}'",
    "ARRAY": "'{}'",
}


async def test_without_a_context_or_with_anothers_no_row_is_there(
    postgres: Postgres, engines: dict[str, AsyncEngine]
) -> None:
    """Every table that holds workspaces, as the role of its service."""
    url = postgres.database_url("all_services")
    for schema, table, column in guarded(postgres):
        await fill(postgres, schema, table, column, "acme")
        engine = engines[schema]
        count = f'SELECT count(*) FROM "{table}"'
        for workspace, expected in (("acme", 1), (EVERY_WORKSPACE, 1), ("beta", 0), ("", 0), ("acme' OR '1'='1", 0)):
            assert (await rows(engine, count, workspace))[0][0] == expected, (schema, table, workspace)
        for workspace in ("beta", ""):
            for change in (f'UPDATE "{table}" SET "{column}" = \'beta\'', f'DELETE FROM "{table}"'):
                await rows(engine, change, workspace)
            copy = f'INSERT INTO "{table}" ("{column}") VALUES (\'acme\')'
            with pytest.raises(DBAPIError, match=r"row-level security|not-null"):
                await rows(engine, copy, workspace)
        assert (await rows(engine, count, "acme"))[0][0] == 1, (schema, table)
        with pytest.raises(ProgrammingError, match="row-level security"):
            await rows(engine, f'UPDATE "{table}" SET "{column}" = \'beta\'', "acme")
        raw = await asyncpg.connect(url, server_settings={"role": role_of(schema), "search_path": schema})
        assert await raw.fetchval(count) == 0, "a connection that never said a workspace"
        await raw.close()


async def test_a_workspace_does_not_outlast_its_transaction(engines: dict[str, AsyncEngine]) -> None:
    engine = engines["auth"]
    async with transaction(engine, "acme"):
        pass
    async with engine.connect() as connection:  # the same one, from the pool
        said = (await connection.execute(text("SELECT current_setting('app.workspace', true)"))).scalar_one()
    assert not said


async def test_who_owns_the_tables_is_held_to_it_too(postgres: Postgres) -> None:
    """An installation whose migrations run as an ordinary user: forced row security counts for the owner."""
    postgres.execute("CREATE ROLE owner_of_all LOGIN PASSWORD 'x' CREATEROLE")
    postgres.execute("CREATE DATABASE owned OWNER owner_of_all")
    for schema in SCHEMAS:
        postgres.execute(f"GRANT {role_of(schema)} TO owner_of_all WITH ADMIN OPTION, INHERIT FALSE, SET TRUE")
    url = f"postgresql://owner_of_all:x@127.0.0.1:{postgres.port}/owned"
    await migrate_async(settings(url))
    connection = await asyncpg.connect(url)
    await connection.execute(f"SET search_path TO auth; SET app.workspace TO '{EVERY_WORKSPACE}'")
    await connection.execute(
        "INSERT INTO access_keys (key_id, workspace, workspace_uid, name, role, is_declared, sha256) "
        "VALUES ('k', 'acme', '', '', 'viewer', false, '')"
    )
    await connection.execute("RESET app.workspace")
    assert await connection.fetchval("SELECT count(*) FROM access_keys") == 0
    await connection.close()
    engine = open_engine(settings(url), "auth")
    assert len(await rows(engine, "SELECT 1 FROM access_keys", "acme")) == 1
    await engine.dispose()


async def test_a_user_who_may_make_no_roles_is_told_what_an_administrator_runs(postgres: Postgres) -> None:
    postgres.execute("CREATE ROLE plain LOGIN PASSWORD 'x'")
    postgres.execute("CREATE DATABASE plain_owned OWNER plain")
    url = f"postgresql://plain:x@127.0.0.1:{postgres.port}/plain_owned"
    with pytest.raises(FailedPrecondition) as caught:
        await migrate_async(settings(url), ("auth",))
    statement = 'GRANT pyairtable_auth TO "plain" WITH INHERIT FALSE, SET TRUE'
    assert statement in caught.value.message
    assert "CREATE ROLE" not in caught.value.message, "the role is there, only the grant is missing"
    postgres.execute(statement)
    await migrate_async(settings(url), ("auth",))
    engine = open_engine(settings(url), "auth")
    assert await rows(engine, "SELECT 1 FROM access_keys") == []
    await engine.dispose()


async def test_a_service_may_have_a_login_that_is_its_own_role_and_no_more(postgres: Postgres) -> None:
    postgres.execute("CREATE ROLE auth_login LOGIN PASSWORD 'x'")
    address = postgres.database_url("all_services").split("@")[1]
    url = settings(f"postgresql://auth_login:x@{address}")
    engine = open_engine(url, "auth")
    with pytest.raises(Unavailable, match="GRANT"):
        await rows(engine, "SELECT 1 FROM access_keys")
    postgres.execute("GRANT pyairtable_auth TO auth_login WITH INHERIT FALSE, SET TRUE")
    await rows(engine, "SELECT 1 FROM access_keys")
    raw = await asyncpg.connect(f"postgresql://auth_login:x@{address}", server_settings={"role": "pyairtable_auth"})
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await raw.execute("SET ROLE pyairtable_workspaces")
    await raw.execute("SET ROLE NONE")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await raw.execute("SELECT 1 FROM auth.access_keys")
    await raw.close()
    await engine.dispose()


async def test_a_database_that_was_never_migrated_is_told_of(postgres: Postgres) -> None:
    url = postgres.create_database("never_migrated")
    for schema in ("auth", "nobody_has_made_this_role"):
        engine = open_engine(settings(url), schema)
        with pytest.raises(Unavailable, match="migrate"):
            await rows(engine, "SELECT 1 FROM access_keys")
        await engine.dispose()


async def test_down_to_the_base_leaves_no_right_and_the_role(postgres: Postgres) -> None:
    url = postgres.create_database("down")
    await migrate_async(settings(url), ("auth",))
    await migrate_async(settings(url), ("auth",), "base")
    rights = "SELECT count(*) FROM pg_namespace WHERE array_to_string(nspacl, ',') LIKE '%pyairtable_auth%'"
    assert postgres.execute(rights, "down") == "0"
    assert postgres.execute("SELECT count(*) FROM pg_default_acl", "down") == "0"
    assert postgres.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'pyairtable_auth'") == "1"
    await migrate_async(settings(url), ("auth",))


def test_migrations_of_several_databases_at_once_make_one_role(postgres: Postgres) -> None:
    """Many at once, as in tests and installations that share a server, by users who are or are not superusers."""
    for number in range(2):
        postgres.execute(f"CREATE ROLE maker{number} LOGIN {('SUPERUSER', 'CREATEROLE')[number]} PASSWORD 'x'")

    def make(number: int) -> None:
        url = f"postgresql+asyncpg://maker{number % 2}:x@127.0.0.1:{postgres.port}/postgres"
        for round_ in range(5):
            asyncio.run(_ensure(url, f"race_{number % 2}_{round_}"))

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(make, range(12)))
    assert postgres.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pyairtable_race_%'") == "10"


async def _ensure(url: str, schema: str) -> None:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        await connection.run_sync(ensure_role, schema)
    await engine.dispose()


@pytest.mark.slow
def test_the_command_migrates_two_databases_at_once(postgres: Postgres) -> None:
    urls = [postgres.create_database(f"together_{number}") for number in range(2)]
    command = [sys.executable, "-m", "pyairtable_platform.cli", "migrate"]
    running = [
        subprocess.Popen(command, env={"DATABASE_URL": url}, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        for url in urls
    ]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
