"""What everything that is done about accounts needs, and the small steps that recur."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.auth.signing import SigningKey
from pyairtable_platform.common import events
from pyairtable_platform.common.database import NO_WORKSPACE, transaction
from pyairtable_platform.common.errors import NotFound, RateLimited, Reason

from . import audit, limits
from .audit import Decision
from .limits import Bucket
from .passwords import Passwords
from .records import principal_of
from .sealing import Secrets

TOO_MANY = "too many attempts"


class Signers(Protocol):
    """Who has the key that signs."""

    async def current(self) -> SigningKey: ...


@dataclass(frozen=True)
class Desk:
    """Where accounts are dealt with."""

    engine: AsyncEngine
    passwords: Passwords
    secrets: Secrets
    signers: Signers
    admins: frozenset[str] = frozenset()
    """Folded addresses of those who administer this installation."""
    letter_queued: Callable[[], None] = lambda: None
    """Told after a letter was queued."""

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction about people, not about a workspace."""
        return transaction(self.engine, NO_WORKSPACE)

    @asynccontextmanager
    async def with_letters(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may queue letters."""
        async with self.transaction() as connection:
            yield connection
        self.letter_queued()

    async def count(self, decision: Decision, *buckets: Bucket) -> None:
        """Count an attempt before anything else is done for it; a refusal is kept and raised (RateLimited)."""
        try:
            async with self.transaction() as connection:
                await limits.take(connection, buckets)
        except RateLimited:
            await self.refuse(replace(decision, reason=TOO_MANY))
            raise

    async def give_back(self, *buckets: Bucket) -> None:
        """Uncount an attempt for which nothing was done."""
        async with self.transaction() as connection:
            await limits.give_back(connection, buckets)

    async def refuse(self, decision: Decision) -> None:
        """Keep a refusal."""
        await audit.note(self.engine, decision)


async def tell(connection: AsyncConnection, kind: str, user_id: str) -> None:
    """Tell others what became of an account (user.<kind>.v1).

    By its id only: what went out to a stream cannot be erased. Who needs to know more asks (LookupAccounts).
    """
    principal, data = principal_of(user_id), {"user_id": user_id}
    await events.record(connection, events.Event(f"user.{kind}.v1", user_id, principal=principal, data=data))


def now() -> datetime:
    return datetime.now(UTC)


def no_account(user_id: str) -> NotFound:
    return NotFound(f'there is no account "{user_id}"', reason=Reason.ACCOUNT_NOT_FOUND, user=user_id)
