"""What the database driver raises, as callers see it."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from pyairtable_platform.common.database import database_errors
from pyairtable_platform.common.errors import DeadlineExceeded, InvalidInput, Unavailable


class DriverError(Exception):
    """An error of the driver with PostgreSQL's own code."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@pytest.mark.parametrize("sqlstate", ["57P01", "57P03", "53300"])
def test_a_server_that_cannot_serve_now_is_unavailable(sqlstate: str) -> None:
    with pytest.raises(Unavailable) as caught, database_errors():
        raise DBAPIError("SELECT 1", {}, DriverError(sqlstate))
    assert caught.value.metadata == {"dependency": "postgres"}


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), OperationalError("x", {}, OSError())])
def test_a_server_out_of_reach_is_unavailable(error: Exception) -> None:
    with pytest.raises(Unavailable), database_errors():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
        asyncpg.CannotConnectNowError("the database system is in recovery mode"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.InterfaceError("cannot call Connection.add_listener(): the connection is closed"),
        asyncpg.InternalClientError("got result for unknown protocol state 3"),
    ],
)
def test_a_connection_that_is_cut_off_is_unavailable_as_the_driver_tells_it(error: Exception) -> None:
    with pytest.raises(Unavailable) as bare, database_errors():
        raise error
    with pytest.raises(Unavailable) as wrapped, database_errors():
        raise DBAPIError("SELECT 1", {}, error)
    assert bare.value.message == wrapped.value.message
    assert "PostgreSQL cannot be reached" in bare.value.message


def test_a_fault_of_ours_stays_one_as_the_driver_tells_it() -> None:
    with pytest.raises(asyncpg.PostgresSyntaxError), database_errors():
        raise asyncpg.PostgresSyntaxError("syntax error")
    with pytest.raises(asyncpg.DataError), database_errors():
        raise asyncpg.DataError("invalid input for query argument $1")


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (asyncpg.SerializationError("could not serialize access"), "try again"),
        (asyncpg.UndefinedTableError('relation "outbox" does not exist'), "pyairtable-platform migrate"),
        (asyncpg.InvalidParameterValueError('role "pyairtable_auth" does not exist'), "pyairtable-platform migrate"),
        (asyncpg.InsufficientPrivilegeError('permission denied to set role "pyairtable_auth"'), "GRANT"),
    ],
)
def test_what_can_be_mended_says_how(error: Exception, remedy: str) -> None:
    with pytest.raises(Unavailable, match=remedy) as caught, database_errors():
        raise DBAPIError("SELECT 1", {}, error)
    assert caught.value.metadata == {"dependency": "postgres"}


@pytest.mark.parametrize("error", [Unavailable("auth is away"), DeadlineExceeded("auth is slow")])
def test_an_error_of_another_service_asked_in_a_transaction_stays_its_own(error: Exception) -> None:
    with pytest.raises(type(error), match="auth"), database_errors():
        raise error


def test_a_wrong_statement_stays_a_fault_of_ours() -> None:
    with pytest.raises(DBAPIError), database_errors():
        raise DBAPIError("SELEC 1", {}, DriverError("42601"))


@pytest.mark.parametrize("sqlstate", ["22021", "22P05"])
def test_text_that_postgresql_cannot_hold_is_the_callers_fault(sqlstate: str) -> None:
    with pytest.raises(InvalidInput, match=r"U\+0000"), database_errors():
        raise DBAPIError("SELECT 1", {}, DriverError(sqlstate))
