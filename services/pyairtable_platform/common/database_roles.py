"""The role of a service in PostgreSQL: it owns nothing, and may only read and write rows of its own schema.

Roles belong to the whole server, not to a database: migrations of several databases may make one at the same time,
and none takes it away.
"""

from __future__ import annotations

import time

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from .database import role_of
from .errors import FailedPrecondition

# duplicate_object, unique_violation, internal_error ("tuple concurrently updated"): another migration was quicker.
_SOMEBODY_ELSE = ("42710", "23505", "XX000")
_NO_RIGHT = "42501"
_ATTEMPTS = 20

_IS_THERE = text("SELECT 1 FROM pg_roles WHERE rolname = :role")
_MAY_BE_SET = text("SELECT pg_has_role(current_user, :role, 'SET')")
_USER = text("SELECT current_user")

_GRANTS = (
    'GRANT USAGE ON SCHEMA "{schema}" TO {role}',
    'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{schema}" TO {role}',
    'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA "{schema}" TO {role}',
    'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}',
    'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" GRANT USAGE, SELECT ON SEQUENCES TO {role}',
    # At which revision the tables stand is the migrations' business.
    'REVOKE ALL ON "{schema}".alembic_version FROM {role}',
)
_REVOKES = (
    'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" REVOKE ALL ON TABLES FROM {role}',
    'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" REVOKE ALL ON SEQUENCES FROM {role}',
    'REVOKE ALL ON ALL TABLES IN SCHEMA "{schema}" FROM {role}',
    'REVOKE ALL ON ALL SEQUENCES IN SCHEMA "{schema}" FROM {role}',
    'REVOKE ALL ON SCHEMA "{schema}" FROM {role}',
)


def ensure_role(connection: Connection, schema: str) -> None:
    """Make the role of a schema unless it is there, and let the user who migrates work as it.

    Raises FailedPrecondition, with what an administrator has to run, when the user may not do that.
    """
    role = role_of(schema)
    for attempt in range(_ATTEMPTS):
        try:
            _make_role(connection, role)
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            if state == _NO_RIGHT:
                raise _ask_an_administrator(connection, role) from error
            if state not in _SOMEBODY_ELSE or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.02 * (attempt + 1))
        else:
            return


def grant_rights(connection: Connection, schema: str) -> None:
    """Give the role of a schema its rights there, on tables that later migrations make too."""
    _run(connection, _GRANTS, schema)


def revoke_rights(connection: Connection, schema: str) -> None:
    """Take the rights of the role back. The role itself may be in use by other databases of the server."""
    _run(connection, _REVOKES, schema)


def _make_role(connection: Connection, role: str) -> None:
    with connection.begin():
        if connection.execute(_IS_THERE, {"role": role}).first() is None:
            connection.execute(text(f"CREATE ROLE {role} NOLOGIN"))
    with connection.begin():
        if not connection.execute(_MAY_BE_SET, {"role": role}).scalar_one():
            # SET without INHERIT (PostgreSQL 16): the user becomes the role when it says so, and has no more by itself.
            connection.execute(text(f"GRANT {role} TO CURRENT_USER WITH INHERIT FALSE, SET TRUE"))


def _run(connection: Connection, statements: tuple[str, ...], schema: str) -> None:
    with connection.begin():
        for statement in statements:
            connection.execute(text(statement.format(schema=schema, role=role_of(schema))))


def _ask_an_administrator(connection: Connection, role: str) -> FailedPrecondition:
    with connection.begin():
        user = connection.execute(_USER).scalar_one()
        is_there = connection.execute(_IS_THERE, {"role": role}).first() is not None
    make = "" if is_there else f"CREATE ROLE {role} NOLOGIN; "
    return FailedPrecondition(
        f'the database user "{user}" may not make the role {role} of a service: let an administrator run '
        f'{make}GRANT {role} TO "{user}" WITH INHERIT FALSE, SET TRUE; then migrate again',
        role=role,
    )
