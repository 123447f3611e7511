"""PostgreSQL: logins and their refresh tokens. All in the caller's transaction.

The refresh token that counts stands in the row of its login, so that of many uses at once one changes the row and the
others see it changed. Times are PostgreSQL's: replicas and restarts agree on them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.auth.revocations import session_ended

from .records import Login, session_of
from .sealing import RefreshToken, Secrets, first_refresh_token, new_salt

IDLE = timedelta(days=30)
LONGEST = timedelta(days=90)
GRACE = timedelta(seconds=10)
"""So long after a rotation the token before is answered with the same new one: the answer may have been lost."""

_KEPT_AFTER_END = timedelta(days=7)

_COLUMNS = [column.name for column in fields(Login)]
_LISTED = ", ".join(_COLUMNS)
_OPEN = text(
    "INSERT INTO logins (login_id, user_id, device, address, expires_at, ends_at, refresh_sha256, salt) "  # noqa: S608
    "VALUES (:login_id, :user_id, :device, :address, clock_timestamp() + :idle, clock_timestamp() + :longest, "
    f":sha256, :salt) RETURNING {_LISTED}, rotated_at"
)
_IS_OPEN = (
    "ended_at IS NULL AND expires_at > clock_timestamp() AND EXISTS (SELECT 1 FROM accounts "
    "WHERE accounts.user_id = logins.user_id AND accounts.state = 'active' AND NOT accounts.is_erased)"
)
_ROTATE = text(
    "UPDATE logins SET refresh_sha256 = :new, previous_sha256 = :shown, salt = :salt, "  # noqa: S608
    "generation = generation + 1, rotated_at = clock_timestamp(), used_at = clock_timestamp(), address = :address, "
    "expires_at = least(clock_timestamp() + :idle, ends_at) "
    f"WHERE login_id = :login_id AND refresh_sha256 = :shown AND {_IS_OPEN} RETURNING {_LISTED}, rotated_at"
)
_SPEND = text("INSERT INTO spent_refresh_tokens (sha256, login_id) VALUES (:shown, :login_id)")
_SHOWN_AGAIN = text(
    f"SELECT {_LISTED}, rotated_at, salt, refresh_sha256 = :shown AS is_current, {_IS_OPEN} AS is_open, "  # noqa: S608
    "coalesce(previous_sha256 = :shown, false) AND rotated_at > clock_timestamp() - CAST(:grace AS interval) "
    "AS is_in_grace, "
    "EXISTS (SELECT 1 FROM spent_refresh_tokens spent WHERE spent.sha256 = :shown AND spent.login_id = :login_id) "
    "AS is_spent FROM logins WHERE login_id = :login_id FOR UPDATE"
)
_END = text(
    "UPDATE logins SET ended_at = clock_timestamp(), ended_why = :why WHERE user_id = :user_id AND ended_at IS NULL "
    "AND (:login_id = '' OR login_id = :login_id) AND login_id <> :but RETURNING login_id"
)
_FORGET_SPENT = text("DELETE FROM spent_refresh_tokens WHERE login_id = :login_id")
_LIST = text(
    f"SELECT {_LISTED} FROM logins WHERE user_id = :user_id AND ended_at IS NULL "  # noqa: S608
    "AND expires_at > clock_timestamp() ORDER BY created_at DESC, login_id"
)
_DELETE = text("DELETE FROM logins WHERE user_id = :user_id")
_CLEAN = text("DELETE FROM logins WHERE coalesce(ended_at, expires_at) < clock_timestamp() - CAST(:kept AS interval)")


class Refused(enum.StrEnum):
    """Why a refresh token does not count; for the audit, never for who shows it."""

    UNKNOWN = "unknown refresh token"
    ENDED = "the login has ended"
    REUSED = "a spent refresh token was shown: it was stolen, and the login ended"


@dataclass(frozen=True)
class Rotation:
    """A login with the refresh token that counts now."""

    login: Login
    token: RefreshToken
    rotated_at: datetime


@dataclass(frozen=True)
class Refusal:
    """A refresh token that does not count, and whose it was, as far as that is known."""

    why: Refused
    user_id: str = ""
    login_id: str = ""


async def open_login(connection: AsyncConnection, user_id: str, device: str, address: str) -> Rotation:
    """A new login. The caller holds the account's lock, so that it is not disabled meanwhile."""
    token = first_refresh_token()
    values = {
        "login_id": token.login_id,
        "user_id": user_id,
        "device": device,
        "address": address,
        "idle": IDLE,
        "longest": LONGEST,
        "sha256": token.sha256(),
        "salt": new_salt(),
    }
    row = (await connection.execute(_OPEN, values)).one()
    return Rotation(to_login(row), token, row.rotated_at)


async def rotate(
    connection: AsyncConnection, secrets: Secrets, shown: RefreshToken, address: str
) -> Rotation | Refusal:
    """The token after a shown one. A stolen one ends its login: the caller commits in both cases."""
    salt = new_salt()
    successor = secrets.successor(shown, salt)
    names = {"login_id": shown.login_id, "shown": shown.sha256()}
    values = {**names, "new": successor.sha256(), "salt": salt, "idle": IDLE, "address": address}
    row = (await connection.execute(_ROTATE, values)).first()
    if row is not None:
        await connection.execute(_SPEND, names)
        return Rotation(to_login(row), successor, row.rotated_at)
    row = (await connection.execute(_SHOWN_AGAIN, {**names, "grace": GRACE})).first()
    return await _judge_again(connection, secrets, shown, row)


async def belongs(connection: AsyncConnection, shown: RefreshToken) -> str:
    """Whose login a refresh token is of, spent or not; empty when there is no such token."""
    names = {"login_id": shown.login_id, "shown": shown.sha256(), "grace": GRACE}
    row = (await connection.execute(_SHOWN_AGAIN, names)).first()
    return str(row.user_id) if row is not None and (row.is_current or row.is_spent) else ""


async def end(connection: AsyncConnection, user_id: str, why: str, *, login_id: str = "", but: str = "") -> list[str]:
    """End a login of a person, or all of them but one; the ids of those that were open."""
    values = {"user_id": user_id, "why": why, "login_id": login_id, "but": but}
    ended = sorted(str(row.login_id) for row in await connection.execute(_END, values))
    for each in ended:
        await connection.execute(_FORGET_SPENT, {"login_id": each})
    await session_ended(connection, *map(session_of, ended))
    return ended


async def open_logins(connection: AsyncConnection, user_id: str) -> list[Login]:
    """The open logins of a person, newest first."""
    return [to_login(row) for row in await connection.execute(_LIST, {"user_id": user_id})]


async def delete(connection: AsyncConnection, user_id: str) -> int:
    """Delete the logins of a person; how many. They have ended before."""
    return (await connection.execute(_DELETE, {"user_id": user_id})).rowcount


async def clean(connection: AsyncConnection) -> None:
    """Delete logins that ended long ago."""
    await connection.execute(_CLEAN, {"kept": _KEPT_AFTER_END})


def to_login(row: Any) -> Login:
    return Login(**{name: getattr(row, name) for name in _COLUMNS})


async def _judge_again(
    connection: AsyncConnection, secrets: Secrets, shown: RefreshToken, row: Any
) -> Rotation | Refusal:
    """What becomes of a token that is not the one that counts; `row` is its login, locked."""
    if row is None or not (row.is_current or row.is_spent):
        # Not even spent: somebody made it up from the id of a login, which is no secret. Nothing ends by that.
        return Refusal(Refused.UNKNOWN)
    if row.is_current or not row.is_open:
        return Refusal(Refused.ENDED, row.user_id, row.login_id)
    if row.is_in_grace:
        return Rotation(to_login(row), secrets.successor(shown, bytes(row.salt)), row.rotated_at)
    await end(connection, row.user_id, Refused.REUSED, login_id=row.login_id)
    return Refusal(Refused.REUSED, row.user_id, row.login_id)
