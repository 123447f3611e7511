"""PostgreSQL: accounts, and the addresses that they are used from. All in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from .records import Account, State

_COLUMNS = [column.name for column in fields(Account)]
_LISTED = ", ".join(_COLUMNS)
_INSERT = text(
    f"INSERT INTO accounts ({_LISTED}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"  # noqa: S608
)
_CHANGED = (
    "email",
    "email_folded",
    "user_name",
    "user_name_folded",
    "display_name",
    "password_hash",
    "state",
    "verified_at",
    "password_changed_at",
    "is_erased",
)
_UPDATE = text(
    f"UPDATE accounts SET {', '.join(f'{name} = :{name}' for name in _CHANGED)} WHERE user_id = :user_id"  # noqa: S608
)
# A user name never holds an @, so that no text means two accounts.
_BY_LOGIN = text(f"SELECT {_LISTED} FROM accounts WHERE email_folded = :login OR user_name_folded = :login")  # noqa: S608
_BY_EMAIL = text(f"SELECT {_LISTED} FROM accounts WHERE email_folded = :email FOR UPDATE")  # noqa: S608
_BY_ID = text(f"SELECT {_LISTED} FROM accounts WHERE user_id = :user_id")  # noqa: S608
_LOCK = text(f"SELECT {_LISTED} FROM accounts WHERE user_id = :user_id FOR UPDATE")  # noqa: S608
_FORGET_UNPROVED = text("UPDATE accounts SET password_hash = '' WHERE email_folded = :email AND state = 'unverified'")
_LOOKUP = text(
    f"SELECT {_LISTED} FROM accounts WHERE NOT is_erased "  # noqa: S608
    "AND (user_id = ANY(CAST(:user_ids AS text[])) OR email_folded = ANY(CAST(:emails AS text[])))"
)
_NAME_TAKEN = text("SELECT 1 FROM accounts WHERE user_name_folded = :name AND user_id <> :user_id")
# Of two numbers the first tells what is locked. One registration at a time: some milliseconds, after the hashing.
_LOCK_NAMES = text("SELECT pg_advisory_xact_lock(1635087466, 0)")
_IS_KNOWN = text("SELECT 1 FROM known_addresses WHERE user_id = :user_id AND address = :address")
_KNOW = text(
    "INSERT INTO known_addresses (user_id, address) VALUES (:user_id, :address) "
    "ON CONFLICT (user_id, address) DO UPDATE SET used_at = clock_timestamp()"
)
_KNOWN = text("SELECT address, used_at FROM known_addresses WHERE user_id = :user_id ORDER BY used_at DESC")
_FORGET_ADDRESSES = text("DELETE FROM known_addresses WHERE user_id = :user_id")

# A letter that can still be answered keeps its account. One that somebody is proving just now is left alone.
_DELETE_UNPROVED = text(
    "DELETE FROM accounts WHERE user_id IN (SELECT user_id FROM accounts WHERE verified_at IS NULL AND NOT is_erased "
    "AND created_at < clock_timestamp() - CAST(:kept AS interval) AND NOT EXISTS (SELECT 1 FROM letter_tokens "
    "WHERE letter_tokens.user_id = accounts.user_id AND used_at IS NULL AND expires_at > clock_timestamp()) "
    "ORDER BY created_at LIMIT 1000 FOR UPDATE SKIP LOCKED) RETURNING user_id"
)
_CLEAN = text("DELETE FROM known_addresses WHERE used_at < clock_timestamp() - interval '180 days'")


async def lock_names(connection: AsyncConnection) -> None:
    """Let no other registration decide on names and addresses until this transaction ends."""
    await connection.execute(_LOCK_NAMES)


async def insert(connection: AsyncConnection, account: Account) -> None:
    await connection.execute(_INSERT, asdict(account))


async def update(connection: AsyncConnection, account: Account) -> None:
    values = asdict(account)
    await connection.execute(_UPDATE, {name: values[name] for name in ("user_id", *_CHANGED)})


async def find(connection: AsyncConnection, user_id: str) -> Account | None:
    return _one(await connection.execute(_BY_ID, {"user_id": user_id}))


async def find_by_login(connection: AsyncConnection, login: str) -> Account | None:
    """The account that a folded address or user name means."""
    return _one(await connection.execute(_BY_LOGIN, {"login": login}))


async def lock_by_email(connection: AsyncConnection, email: str) -> Account | None:
    """The account of a folded address, which nobody else changes until this transaction ends."""
    return _one(await connection.execute(_BY_EMAIL, {"email": email}))


async def forget_unproved_password(connection: AsyncConnection, email: str) -> None:
    """Let no password count for a folded address that nobody has proved. The same work for every address."""
    await connection.execute(_FORGET_UNPROVED, {"email": email})


async def lock(connection: AsyncConnection, user_id: str) -> Account | None:
    """An account that nobody else changes until this transaction ends. Before logins, tokens and the rest of it."""
    return _one(await connection.execute(_LOCK, {"user_id": user_id}))


async def lookup(connection: AsyncConnection, user_ids: Sequence[str], emails: Sequence[str]) -> list[Account]:
    """Accounts by id or folded address; erased ones are none."""
    rows = await connection.execute(_LOOKUP, {"user_ids": list(user_ids), "emails": list(emails)})
    return [to_account(row) for row in rows]


async def is_name_taken(connection: AsyncConnection, name: str, user_id: str) -> bool:
    """Whether another account has this folded user name."""
    return (await connection.execute(_NAME_TAKEN, {"name": name, "user_id": user_id})).first() is not None


async def is_known_address(connection: AsyncConnection, user_id: str, address: str) -> bool:
    """Whether an account logged in from there before. `user_id` is empty for no account."""
    return (await connection.execute(_IS_KNOWN, {"user_id": user_id, "address": address})).first() is not None


async def know_address(connection: AsyncConnection, user_id: str, address: str) -> None:
    await connection.execute(_KNOW, {"user_id": user_id, "address": address})


async def known_addresses(connection: AsyncConnection, user_id: str) -> list[Any]:
    """Rows of address and used_at, the last used first."""
    return list(await connection.execute(_KNOWN, {"user_id": user_id}))


async def forget_addresses(connection: AsyncConnection, user_id: str) -> int:
    return (await connection.execute(_FORGET_ADDRESSES, {"user_id": user_id})).rowcount


async def delete_unproved(connection: AsyncConnection, kept: timedelta) -> list[str]:
    """Delete accounts whose address nobody proved for so long; their ids."""
    return [row.user_id for row in await connection.execute(_DELETE_UNPROVED, {"kept": kept})]


def to_account(row: Any) -> Account:
    values = {name: getattr(row, name) for name in _COLUMNS}
    return Account(**{**values, "state": State(values["state"])})


def _one(rows: Any) -> Account | None:
    row = rows.first()
    return None if row is None else to_account(row)


async def clean(connection: AsyncConnection) -> None:
    """Forget addresses that were not used for half a year."""
    await connection.execute(_CLEAN)
