"""PostgreSQL: API keys of people (table api_keys)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.common.database import EVERY_WORKSPACE, enter_workspace, transaction

from .revocations import session_ended, session_restored


@dataclass(frozen=True)
class ApiKey:
    """An API key of a person, without the key. Times are aware."""

    key_id: str
    user_id: str
    workspace: str
    workspace_uid: str
    name: str
    role: str
    sha256: bytes = field(repr=False)
    created_at: datetime
    member_since: datetime | None = None
    """When the membership began by which it was made; it counts by no other. None is any."""
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def session(self) -> str:
        return session_of(self.key_id)

    def works_at(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True)
class ApiKeyPage:
    """Some keys, newest first, and the key behind which the next page begins (None at the end)."""

    keys: list[ApiKey]
    last: ApiKey | None


_COLUMNS = [column.name for column in fields(ApiKey)]
_LISTED = ", ".join(_COLUMNS)
_INSERT = text(
    f"INSERT INTO api_keys ({_LISTED}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) "  # noqa: S608
    "ON CONFLICT (key_id) DO NOTHING RETURNING 1"
)
_FIND = text(f"SELECT {_LISTED} FROM api_keys WHERE key_id = :key_id")  # noqa: S608
_PAGE = text(
    f"SELECT {_LISTED} FROM api_keys WHERE user_id = :user_id AND starts_with(key_id, :prefix) "  # noqa: S608
    "AND (:workspace = '' OR workspace = :workspace) "
    "AND (CAST(:created_at AS timestamptz) IS NULL OR (created_at, key_id) < (:created_at, :key_id)) "
    "ORDER BY created_at DESC, key_id DESC LIMIT :size"
)
# Of calls at once one ends it; the others read when.
_REVOKE = text(
    "UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) "  # noqa: S608
    f"WHERE key_id = :key_id AND user_id = :user_id RETURNING {_LISTED}"
)
_USED = text(
    "UPDATE api_keys SET last_used_at = :minute "
    "WHERE key_id = :key_id AND (last_used_at IS NULL OR last_used_at < :minute)"
)
_COUNT = text(
    "SELECT count(*) FROM api_keys WHERE user_id = :user_id AND revoked_at IS NULL "
    "AND (expires_at IS NULL OR expires_at > now())"
)
_WORKING = text("SELECT key_id FROM api_keys WHERE user_id = :user_id AND revoked_at IS NULL")
_REVOKE_ALL = text(
    "UPDATE api_keys SET revoked_at = now() WHERE user_id = :user_id AND revoked_at IS NULL "
    "AND (expires_at IS NULL OR expires_at > now()) RETURNING key_id"
)
_ERASE = text("DELETE FROM api_keys WHERE user_id = :user_id RETURNING key_id")
# The lock that disabling, erasing, logging out everywhere and new passwords hold too: a key is made before them, and
# ends by them, or it is made after them, and by a login that is still there.
_LOCK_PERSON = text(
    "SELECT 1 FROM accounts WHERE user_id = :user_id AND state = 'active' AND NOT is_erased FOR NO KEY UPDATE"
)
_IS_LOGGED_IN = text("SELECT 1 FROM logins WHERE login_id = :login_id AND user_id = :user_id AND ended_at IS NULL")


class TooMany(Exception):
    """The person has as many keys as one may have."""


class LoginOver(Exception):
    """The login that asks for a key has ended, or its account is not active any more."""


class ApiKeyStore:
    """Keys by id and by person. A person's keys cross workspaces, so that most work here does (EVERY_WORKSPACE)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def insert(self, key: ApiKey, login_id: str, most: int) -> bool:
        """Keep a new key that a login asks for; False when its id is taken.

        Raises LoginOver, and TooMany when the person has `most` that work.
        """
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            asking = {"user_id": key.user_id, "login_id": login_id}
            for required in (_LOCK_PERSON, _IS_LOGGED_IN):
                if (await connection.execute(required, asking)).first() is None:
                    raise LoginOver
            if (await connection.execute(_COUNT, {"user_id": key.user_id})).scalar_one() >= most:
                raise TooMany
            return (await connection.execute(_INSERT, asdict(key))).first() is not None

    async def find(self, key_id: str) -> ApiKey | None:
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            row = (await connection.execute(_FIND, {"key_id": key_id})).first()
        return None if row is None else to_key(row)

    async def page(
        self, user_id: str, workspace: str, prefix: str, size: int, after: tuple[datetime, str] | None
    ) -> ApiKeyPage:
        created_at, key_id = after or (None, "")
        values = {"user_id": user_id, "workspace": workspace, "prefix": prefix, "key_id": key_id}
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            rows = (await connection.execute(_PAGE, {**values, "created_at": created_at, "size": size + 1})).all()
        keys = [to_key(row) for row in rows]
        return ApiKeyPage(keys[:size], keys[size - 1] if len(keys) > size else None)

    async def revoke(self, user_id: str, key_id: str) -> ApiKey | None:
        """End a person's key for good, everywhere at once; None when there is none."""
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            row = (await connection.execute(_REVOKE, {"user_id": user_id, "key_id": key_id})).first()
            if row is None:
                return None
            await session_ended(connection, session_of(key_id))
        return to_key(row)

    async def used(self, key_id: str, minute: datetime) -> None:
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            await connection.execute(_USED, {"key_id": key_id, "minute": minute})


async def keys_stop(connection: AsyncConnection, user_id: str) -> None:
    """In the transaction that disables an account: its API keys stop within a moment."""
    await session_ended(connection, *await _working(connection, user_id))


async def keys_go_on(connection: AsyncConnection, user_id: str) -> None:
    """In the transaction that restores an account: its API keys that were not revoked work again."""
    await session_restored(connection, *await _working(connection, user_id))


async def revoke_keys(connection: AsyncConnection, user_id: str) -> int:
    """In a transaction that holds the person's account: end all API keys of the person for good; how many."""
    await enter_workspace(connection, EVERY_WORKSPACE)  # a person's keys are of many workspaces
    rows = (await connection.execute(_REVOKE_ALL, {"user_id": user_id})).all()
    await session_ended(connection, *(session_of(row.key_id) for row in rows))
    return len(rows)


async def erase_keys(connection: AsyncConnection, user_id: str) -> int:
    """In the transaction that erases an account: delete its API keys, whose tokens stop within a moment; how many."""
    await enter_workspace(connection, EVERY_WORKSPACE)
    rows = (await connection.execute(_ERASE, {"user_id": user_id})).all()
    await session_ended(connection, *(session_of(row.key_id) for row in rows))
    return len(rows)


async def _working(connection: AsyncConnection, user_id: str) -> list[str]:
    await enter_workspace(connection, EVERY_WORKSPACE)  # a person's keys are of many workspaces
    rows = await connection.execute(_WORKING, {"user_id": user_id})
    return [session_of(row.key_id) for row in rows]


def session_of(key_id: str) -> str:
    """The claim sid of tokens that are made of an API key."""
    return f"api-key:{key_id}"


def to_key(row: Any) -> ApiKey:
    return ApiKey(**{name: getattr(row, name) for name in _COLUMNS})
