"""PostgreSQL: people and the words by which they are found (schema users).

No table is about a workspace: people stand beside workspaces, and who may see whom is decided before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.common import effects
from pyairtable_platform.common.database import NO_WORKSPACE, transaction
from pyairtable_platform.common.errors import FailedPrecondition, Reason

from .names import sort_name, words_of
from .records import Page, Place, Preferences, Profile, unknown

_PREFERENCES = [column.name for column in fields(Preferences)]
_OWN = [column.name for column in fields(Profile) if column.name != "preferences"]
_COLUMNS = [*_OWN, "sort_name", *_PREFERENCES]
_LISTED = ", ".join(_COLUMNS)
_VALUES = ", ".join(f":{name}" for name in _COLUMNS)
_SET = ", ".join(f"{name} = :{name}" for name in _COLUMNS if name not in ("user_id", "created_at"))

_INSERT = text(f"INSERT INTO profiles ({_LISTED}) VALUES ({_VALUES}) ON CONFLICT (user_id) DO NOTHING RETURNING 1")  # noqa: S608
_UPDATE = text(f"UPDATE profiles SET {_SET} WHERE user_id = :user_id")  # noqa: S608
_FIND = text(f"SELECT {_LISTED} FROM profiles WHERE user_id IN :user_ids").bindparams(  # noqa: S608
    bindparam("user_ids", expanding=True)
)
_LOCK = text(f"SELECT {_LISTED} FROM profiles WHERE user_id = :user_id FOR UPDATE")  # noqa: S608
_DELETE = text("DELETE FROM profiles WHERE user_id = :user_id RETURNING 1")
_FORGET_WORDS = text("DELETE FROM profile_words WHERE user_id = :user_id")
_ADD_WORDS = text("INSERT INTO profile_words (word, user_id) SELECT unnest(CAST(:words AS text[])), :user_id")

_TURN = text("SELECT pg_try_advisory_xact_lock(1970496882, 1) AS is_mine")
_DELETED = text("SELECT user_id FROM profiles WHERE deleted_at < :moment ORDER BY deleted_at LIMIT 1000")

_LAST_CHARACTER = chr(0x10FFFF)
"""Behind every word that begins with the same characters, in the order of code points (collation C)."""


class LockedRow:
    """Implements records.LockedProfile."""

    def __init__(self, connection: AsyncConnection, profile: Profile) -> None:
        self._connection = connection
        self.profile = profile

    async def save(self, profile: Profile) -> None:
        await self._connection.execute(_UPDATE, to_row(profile))
        if words_of(profile) != words_of(self.profile):
            await self._connection.execute(_FORGET_WORDS, {"user_id": profile.user_id})
            await add_words(self._connection, profile)
        self.profile = profile


class UserStore:
    """Implements records.Store."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, user_ids: Sequence[str]) -> list[Profile]:
        if not user_ids:
            return []
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            rows = (await connection.execute(_FIND, {"user_ids": list(user_ids)})).all()
        return [to_profile(row) for row in rows]

    async def page(self, words: Sequence[str], with_deleted: bool, size: int, after: Place | None) -> Page:
        values = {"name": after.sort_name if after else "", "user_id": after.user_id if after else "", "size": size + 1}
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            rows = (await connection.execute(page_query(len(words), with_deleted), values | bounds(words))).all()
        last = Place(rows[size - 1].sort_name, rows[size - 1].user_id) if len(rows) > size else None
        return Page([to_profile(row) for row in rows[:size]], last)

    async def create(self, profile: Profile, key: str, request: bytes) -> bool:
        async with transaction(self._engine, NO_WORKSPACE) as connection:

            async def insert() -> effects.Answer:
                created = (await connection.execute(_INSERT, to_row(profile))).first() is not None
                if created:
                    await add_words(connection, profile)
                return {"user_id": profile.user_id, "created": created}

            answer = await effects.once(connection, key, request, insert)
        return bool(answer["created"])

    async def undo_create(self, user_id: str, key: str) -> bool:
        async with transaction(self._engine, NO_WORKSPACE) as connection:

            async def take_back(answer: effects.Answer) -> None:
                if answer["user_id"] != user_id:
                    raise FailedPrecondition(
                        "this idempotency key made another person's profile: name the person it was made for",
                        reason=Reason.IDEMPOTENCY_KEY_REUSED,
                    )
                if answer["created"]:
                    await connection.execute(_DELETE, {"user_id": user_id})

            return await effects.undo(connection, key, take_back)

    @asynccontextmanager
    async def locked(self, user_id: str) -> AsyncIterator[LockedRow]:
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            row = (await connection.execute(_LOCK, {"user_id": user_id})).first()
            if row is None:
                raise unknown(user_id)
            yield LockedRow(connection, to_profile(row))

    @asynccontextmanager
    async def deleted_before(self, moment: datetime) -> AsyncIterator[Sequence[str]]:
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            if not (await connection.execute(_TURN)).one().is_mine:
                yield []
                return
            yield [row.user_id for row in await connection.execute(_DELETED, {"moment": moment})]

    async def erase(self, user_id: str, key: str, request: bytes) -> dict[str, Any]:
        async with transaction(self._engine, NO_WORKSPACE) as connection:

            async def delete() -> effects.Answer:
                found = (await connection.execute(_DELETE, {"user_id": user_id})).first() is not None
                return {"profiles": 1} if found else {}

            return await effects.once(connection, key, request, delete)


def page_query(count: int, with_deleted: bool) -> TextClause:
    """The query of a page for so many words. Each is a range of the index, not a pattern, so that any plan uses it."""
    conditions = ["(sort_name, user_id) > (:name, :user_id)"]
    if not with_deleted:
        conditions.append("deleted_at IS NULL")
    conditions += [
        "user_id IN (SELECT found.user_id FROM profile_words AS found "  # noqa: S608 - numbers only
        f"WHERE found.word >= :begin_{number} AND found.word < :end_{number})"
        for number in range(count)
    ]
    where = " AND ".join(conditions)
    return text(f"SELECT {_LISTED} FROM profiles WHERE {where} ORDER BY sort_name, user_id LIMIT :size")  # noqa: S608


def bounds(words: Sequence[str]) -> dict[str, str]:
    """Where the words that begin with each of these begin and end."""
    begins = {f"begin_{number}": word for number, word in enumerate(words)}
    return begins | {f"end_{number}": word + _LAST_CHARACTER for number, word in enumerate(words)}


async def add_words(connection: AsyncConnection, profile: Profile) -> None:
    await connection.execute(_ADD_WORDS, {"words": words_of(profile), "user_id": profile.user_id})


def to_row(profile: Profile) -> dict[str, Any]:
    """The columns of a person."""
    values = {name: getattr(profile, name) for name in _OWN}
    return values | {"sort_name": sort_name(profile.display_name)} | asdict(profile.preferences)


def to_profile(row: Any) -> Profile:
    """The person of a row."""
    preferences = Preferences(**{name: getattr(row, name) for name in _PREFERENCES})
    return Profile(**{name: getattr(row, name) for name in _OWN}, preferences=preferences)
