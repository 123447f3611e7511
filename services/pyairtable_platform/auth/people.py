"""PostgreSQL: the people behind logins and keys, as far as their credentials count now (tables of accounts)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.database import NO_WORKSPACE, transaction

from .memberships import Person

_ACTIVE = "account.state = 'active' AND NOT account.is_erased AND account.verified_at IS NOT NULL"
_OF_LOGIN = text(
    "SELECT account.user_id, account.email_folded FROM logins login JOIN accounts account USING (user_id) "  # noqa: S608
    "WHERE login.login_id = :id AND login.ended_at IS NULL AND login.expires_at > now() AND login.ends_at > now() "
    f"AND {_ACTIVE}"
)
_OF_USER = text(f"SELECT account.user_id, account.email_folded FROM accounts account WHERE user_id = :id AND {_ACTIVE}")  # noqa: S608


class People:
    """Finds people whose account is active. `admins` are the addresses (folded) of those who administer this."""

    def __init__(self, engine: AsyncEngine, admins: Collection[str]) -> None:
        self._engine = engine
        self._admins = admins

    async def of_login(self, login_id: str) -> Person | None:
        """Whose login it is; None when it has ended or the account is not active."""
        return await self._one(_OF_LOGIN, login_id)

    async def of_user(self, user_id: str) -> Person | None:
        """The person of an active account."""
        return await self._one(_OF_USER, user_id)

    async def _one(self, statement: Any, identifier: str) -> Person | None:
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            row = (await connection.execute(statement, {"id": identifier})).first()
        return None if row is None else Person(row.user_id, row.email_folded, row.email_folded in self._admins)
