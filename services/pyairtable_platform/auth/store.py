"""PostgreSQL: access keys and signing keys (schema auth)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.common import events
from pyairtable_platform.common.database import EVERY_WORKSPACE, NO_WORKSPACE, enter_workspace, transaction

from .records import AccessKey, Page, session_of
from .revocations import session_ended, session_restored
from .signing import OUTLIVED_SECONDS, PUBLISHED_SECONDS, StoredSigningKey

_COLUMNS = [column.name for column in fields(AccessKey)]
_LISTED = ", ".join(_COLUMNS)
# An id is one workspace's; two that want the same one at once meet here, for each holds the lock of its own.
_INSERT = text(
    f"INSERT INTO access_keys ({_LISTED}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) "  # noqa: S608
    "ON CONFLICT (key_id) DO NOTHING RETURNING 1"
)
_CHANGED = ("workspace_uid", "sha256", "expires_at", "revoked_at", "is_revoked_for_good", "replaced_by")
_UPDATE = text(
    f"UPDATE access_keys SET {', '.join(f'{name} = :{name}' for name in _CHANGED)} WHERE key_id = :key_id"  # noqa: S608
)
_FIND = text(f"SELECT {_LISTED} FROM access_keys WHERE key_id = :key_id")  # noqa: S608
_FIND_ALL = text(f"SELECT {_LISTED} FROM access_keys WHERE key_id IN :key_ids").bindparams(  # noqa: S608
    bindparam("key_ids", expanding=True)
)
_OF_WORKSPACE = text(f"SELECT {_LISTED} FROM access_keys WHERE workspace = :workspace ORDER BY key_id")  # noqa: S608
_PAGE = text(
    f"SELECT {_LISTED} FROM access_keys WHERE workspace = :workspace AND starts_with(key_id, :prefix) "  # noqa: S608
    "AND (CAST(:created_at AS timestamptz) IS NULL OR (created_at, key_id) < (:created_at, :key_id)) "
    "ORDER BY created_at DESC, key_id DESC LIMIT :size"
)
# Two doors may tell of the same minute: one of them writes.
_USED = text(
    "UPDATE access_keys SET last_used_at = :minute "
    "WHERE key_id = :key_id AND (last_used_at IS NULL OR last_used_at < :minute)"
)
# Times are PostgreSQL's own, and told as distances: replicas need not agree about the hour.
_SIGNING_KEYS = text(
    "SELECT kid, public_key, sealed_private_key, CAST(extract(epoch FROM signs_from - now()) AS float) AS signs_in "
    "FROM signing_keys ORDER BY signs_from DESC, kid"
)
_ADD_SIGNING_KEY = text(
    "INSERT INTO signing_keys (kid, public_key, sealed_private_key, signs_from) "
    "VALUES (:kid, :public_key, :sealed_private_key, now() + make_interval(secs => :signs_in))"
)
_DROP_SIGNING_KEYS = text(
    "DELETE FROM signing_keys old USING signing_keys next WHERE next.signs_from > old.signs_from "
    "AND next.signs_from < now() - make_interval(secs => :seconds)"
)
# Locks end with their transactions. Of two numbers the first tells what is locked.
_LOCK_WORKSPACE = text("SELECT pg_advisory_xact_lock(1635087464, hashtext(:workspace))")
_LOCK_SIGNING = text("SELECT pg_advisory_xact_lock(1635087465, 0)")


class KeysInTransaction:
    """Implements records.KeysOfWorkspace."""

    def __init__(self, connection: AsyncConnection, workspace: str) -> None:
        self._connection = connection
        self._workspace = workspace

    async def all(self) -> list[AccessKey]:
        rows = await self._connection.execute(_OF_WORKSPACE, {"workspace": self._workspace})
        return [to_key(row) for row in rows]

    async def find_anywhere(self, key_ids: Sequence[str]) -> list[AccessKey]:
        if not key_ids:
            return []
        # An id is one workspace's: whether it is free can be told over all of them only.
        await enter_workspace(self._connection, EVERY_WORKSPACE)
        rows = await self._connection.execute(_FIND_ALL, {"key_ids": list(key_ids)})
        await enter_workspace(self._connection, self._workspace)
        return [to_key(row) for row in rows]

    async def insert(self, key: AccessKey) -> bool:
        return (await self._connection.execute(_INSERT, asdict(key))).first() is not None

    async def update(self, key: AccessKey) -> None:
        values = asdict(key)
        await self._connection.execute(_UPDATE, {name: values[name] for name in ("key_id", *_CHANGED)})

    async def end(self, key_id: str) -> None:
        await session_ended(self._connection, session_of(key_id))

    async def restore(self, key_id: str) -> None:
        await session_restored(self._connection, session_of(key_id))

    async def tell(self, what: str, key: AccessKey, principal: str) -> None:
        data = {"name": key.name, "role": key.role}
        await events.record(
            self._connection, events.Event(f"access_key.{what}.v1", key.key_id, key.workspace, principal, data)
        )


class AuthStore:
    """Implements records.Store and signers.SigningKeyStore. Raises Unavailable when PostgreSQL is away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def workspace(self, name: str) -> AsyncIterator[KeysInTransaction]:
        """A transaction over the keys of a workspace, one at a time over all replicas."""
        async with transaction(self._engine, name) as connection:
            await connection.execute(_LOCK_WORKSPACE, {"workspace": name})
            yield KeysInTransaction(connection, name)

    async def find(self, key_id: str) -> AccessKey | None:
        # Whoever shows a key says what it is, not whose.
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            row = (await connection.execute(_FIND, {"key_id": key_id})).first()
        return None if row is None else to_key(row)

    async def page(self, workspace: str, prefix: str, size: int, after: tuple[datetime, str] | None) -> Page:
        created_at, key_id = after or (None, "")
        values = {"workspace": workspace, "prefix": prefix, "created_at": created_at, "key_id": key_id}
        async with transaction(self._engine, workspace) as connection:
            rows = (await connection.execute(_PAGE, {**values, "size": size + 1})).all()
        keys = [to_key(row) for row in rows]
        return Page(keys[:size], keys[size - 1] if len(keys) > size else None)

    async def used(self, key_id: str, minute: datetime) -> None:
        # As `find`: by the key alone.
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            await connection.execute(_USED, {"key_id": key_id, "minute": minute})

    async def signing_keys(self) -> list[StoredSigningKey]:
        """All signing keys, the newest first."""
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            return await _signing_keys(connection)

    async def first_signing_key(self, made: StoredSigningKey) -> list[StoredSigningKey]:
        """All signing keys; `made` is kept when there is none yet. Of replicas that start together one wins."""
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            await connection.execute(_LOCK_SIGNING)
            known = await _signing_keys(connection)
            if not known:
                await connection.execute(_ADD_SIGNING_KEY, asdict(made))
                known = [made]
            return known

    async def next_signing_key(self, made: StoredSigningKey) -> StoredSigningKey:
        """The key that will sign: `made`, unless one waits already. Of calls at once one makes it."""
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            await connection.execute(_LOCK_SIGNING)
            known = await _signing_keys(connection)
            if known and known[0].signs_in > 0:
                return known[0]
            made = replace(made, signs_in=PUBLISHED_SECONDS if known else 0.0)
            await connection.execute(_ADD_SIGNING_KEY, asdict(made))
            return made

    async def drop_signing_keys(self) -> None:
        """Delete keys whose successor has signed so long that no token under them can be renewed any more."""
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            await connection.execute(_DROP_SIGNING_KEYS, {"seconds": OUTLIVED_SECONDS})


async def _signing_keys(connection: AsyncConnection) -> list[StoredSigningKey]:
    rows = await connection.execute(_SIGNING_KEYS)
    return [
        StoredSigningKey(row.kid, bytes(row.public_key), bytes(row.sealed_private_key), row.signs_in) for row in rows
    ]


def to_key(row: Any) -> AccessKey:
    return AccessKey(**{name: getattr(row, name) for name in _COLUMNS})
