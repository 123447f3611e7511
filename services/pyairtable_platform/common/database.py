"""PostgreSQL: the engine of a service, its schema and role, its transactions, and driver errors as ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import sqlalchemy
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from .errors import InvalidInput, PyAirtableError, Reason, Unavailable
from .settings import DatabaseSettings

CONNECT_SECONDS = 5
ACQUIRE_SECONDS = 10
STATEMENT_SECONDS = 20
"""A server that is frozen answers nothing and closes nothing."""

# PostgreSQL docs, appendix A: connection exception, insufficient resources, operator intervention (it starts, stops or
# was killed).
_PASSING = ("08", "53", "57P")
# How the driver tells of a connection that was cut off in the middle of an answer.
_CUT_OFF = (asyncpg.InterfaceError, asyncpg.InternalClientError)
# character_not_in_repertoire and untranslatable_character: U+0000, which is text everywhere else.
_NO_TEXT = ("22021", "22P05")
_NO_TABLE = "42P01"
_WRONG_SETTING = "22023"
_NO_RIGHT = "42501"
# serialization_failure, deadlock_detected.
_CROSSED = ("40001", "40P01")

EVERY_WORKSPACE = "*"
"""For `transaction`: work that crosses workspaces. Say beside it why."""
NO_WORKSPACE = ""
"""For `transaction`: work on tables that are about no workspace. It sees no row that is some workspace's."""

_ENTER = sqlalchemy.text("SELECT set_config('app.workspace', :workspace, true)")


def open_engine(settings: DatabaseSettings, schema: str) -> AsyncEngine:
    """The engine of a service. Its tables stand in a schema of its own, which comes first in the search path.

    Whoever the settings log in as, statements run as the schema's role (`role_of`), which owns nothing. The caller
    disposes of the engine. Connections are tested before use, so that a restarted server costs no failed call.
    """
    return create_async_engine(
        settings.database_dsn(),
        pool_size=settings.db_pool_size,
        max_overflow=0,
        pool_timeout=ACQUIRE_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,  # statements hold keys and contents, which must not reach a log
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": STATEMENT_SECONDS,
            "server_settings": {"search_path": schema, "application_name": schema, "role": role_of(schema)},
        },
    )


def role_of(schema: str) -> str:
    """The role that a service works as in the database; `migrate` makes it."""
    return f"pyairtable_{schema}"


@asynccontextmanager
async def transaction(engine: AsyncEngine, workspace: str) -> AsyncIterator[AsyncConnection]:
    """A transaction that sees and writes the rows of one workspace only (common/row_security.py).

    `workspace` is what the schema's workspace columns hold, a name or a tenant (`Workspace.tenant`); or EVERY_WORKSPACE
    or NO_WORKSPACE. Raises Unavailable when PostgreSQL is away.
    """
    with database_errors():
        async with engine.begin() as connection:
            await enter_workspace(connection, workspace)
            yield connection


async def enter_workspace(connection: AsyncConnection, workspace: str) -> None:
    """Make the rest of a transaction one about this workspace."""
    await connection.execute(_ENTER, {"workspace": workspace})


async def check_database(engine: AsyncEngine) -> None:
    """For /health: ask the database something."""
    with database_errors():
        async with engine.connect() as connection:
            await connection.execute(sqlalchemy.text("SELECT 1"))


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn "cannot be reached" into Unavailable; what is wrong with a statement stays an error of ours."""
    try:
        yield
    except PyAirtableError:
        raise  # some of ours are connection errors, too: of another service that was asked in the transaction
    except (OperationalError, InterfaceError, PoolTimeout, ConnectionError, OSError) as error:
        raise unavailable() from error
    except asyncio.TimeoutError as error:  # noqa: UP041 - asyncpg's connect time-out; the caller's own is cancelled
        raise unavailable() from error
    # The driver's own errors come as they are where it is asked without SQLAlchemy (LISTEN).
    except (DBAPIError, asyncpg.PostgresError, *_CUT_OFF) as error:
        known = _meaning(error)
        if known is None:
            raise
        raise known from error


def _meaning(error: Exception) -> PyAirtableError | None:
    """What the driver or the server said, as an error of ours; None for what only a fault of ours brings about."""
    said = error.driver_exception if isinstance(error, DBAPIError) else error
    state = str(getattr(said, "sqlstate", None))
    is_lost = isinstance(said, _CUT_OFF) or getattr(error, "connection_invalidated", False)
    if is_lost or state.startswith(_PASSING):
        return unavailable()
    if state in _CROSSED:
        return unavailable(
            "two changes at once got into each other's way in PostgreSQL; nothing was changed by this one, try again"
        )
    # The role is a setting of the connection (open_engine).
    if state == _NO_TABLE or (state == _WRONG_SETTING and 'role "' in str(said)):
        return unavailable(
            "the tables or the role of this service are not in PostgreSQL: run `pyairtable-platform migrate`"
        )
    if state == _NO_RIGHT and "permission denied to set role" in str(said):
        return unavailable(
            "the database user of this service may not work as the service's role: let an administrator run "
            "GRANT pyairtable_<schema> TO <user> WITH INHERIT FALSE, SET TRUE (docs/data.md)"
        )
    if state in _NO_TEXT:
        return InvalidInput("a text holds the character U+0000, which cannot be kept: leave it out")
    return None


def unavailable(
    message: str = "PostgreSQL cannot be reached; nothing was changed by this step, try again when it is back",
) -> Unavailable:
    return Unavailable(message, reason=Reason.DEPENDENCY_UNAVAILABLE, dependency="postgres")
