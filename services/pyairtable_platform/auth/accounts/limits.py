"""How often somebody may try: leaky buckets in PostgreSQL, one for all replicas, counted before anything is checked.

A bucket takes `burst` attempts at once and is emptied by one each `every` (GCRA: the only thing kept is the time when
it will be empty). Buckets of one call are taken together: when one is full, none of them counts the attempt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.common.errors import RateLimited

# The lock of the row makes attempts that come together stand in line, and each sees what the one before has counted.
_TAKE = text(
    "INSERT INTO attempts (scope, subject, full_at) VALUES (:scope, :subject, clock_timestamp() + :every) "
    "ON CONFLICT (scope, subject) DO UPDATE SET full_at = greatest(attempts.full_at, clock_timestamp()) + :every "
    "WHERE greatest(attempts.full_at, clock_timestamp()) + :every <= clock_timestamp() + :deep RETURNING 1"
)
_WAIT = text(
    "SELECT CAST(extract(epoch FROM full_at + CAST(:every AS interval) - CAST(:deep AS interval) - clock_timestamp()) "
    "AS float) FROM attempts WHERE scope = :scope AND subject = :subject"
)
_GIVE_BACK = text(
    "UPDATE attempts SET full_at = full_at - CAST(:every AS interval) WHERE scope = :scope AND subject = :subject"
)
_FORGET = text("DELETE FROM attempts WHERE scope = :scope AND subject = :subject")
_CLEAN = text("DELETE FROM attempts WHERE full_at < clock_timestamp()")


@dataclass(frozen=True)
class Limit:
    """So many at once, and one more each `every`."""

    scope: str
    burst: int
    every: timedelta

    def of(self, *subject: str) -> Bucket:
        """The bucket of a subject, which is not written down: only its hash is."""
        return Bucket(self, hashlib.sha256("\0".join(subject).encode()).hexdigest())


@dataclass(frozen=True)
class Bucket:
    """The attempts of one subject."""

    limit: Limit
    subject: str

    def names(self) -> dict[str, str]:
        return {"scope": self.limit.scope, "subject": self.subject}

    def values(self) -> dict[str, object]:
        return {**self.names(), "every": self.limit.every, "deep": self.limit.every * self.limit.burst}


SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)

LOGIN_FROM_ADDRESS = Limit("login of an account from an address", 10, 90 * SECOND)
LOGINS_FROM_ADDRESS = Limit("logins from an address", 100, 9 * SECOND)
LOGIN = Limit("login of an account from strange addresses", 20, 2 * MINUTE)
LOGIN_FOR_LONG = Limit("login of an account from strange addresses, over days", 100, 30 * MINUTE)
"""The two of an account grow: twenty at once, then one in two minutes, and after a hundred one in half an hour.
Addresses that the account was used from before are not held to them: a stranger cannot close it for its owner."""
REGISTRATIONS = Limit("registrations from an address", 20, 3 * MINUTE)
LETTERS_ASKED = Limit("letters asked for from an address", 20, 3 * MINUTE)
LETTERS_TO = Limit("letters to an address", 4, 15 * MINUTE)
INVITATIONS_TO = Limit("letters of invitation to an address", 4, 15 * MINUTE)
INVITATIONS_BY = Limit("letters of invitation by a person", 20, 3 * MINUTE)
"""Counted apart from LETTERS_TO: nobody can keep a letter about a password from somebody by inviting them."""
TOKENS_SHOWN = Limit("tokens of letters shown from an address", 30, 20 * SECOND)
PASSWORD_OF_PERSON = Limit("password asked of a person", 10, 90 * SECOND)


async def take(connection: AsyncConnection, buckets: Iterable[Bucket]) -> None:
    """Count an attempt in every bucket; raises RateLimited when one is full. The caller then rolls back."""
    for bucket in in_order(buckets):
        if (await connection.execute(_TAKE, bucket.values())).first() is None:
            raise refused(await _wait(connection, bucket))


async def is_taken(connection: AsyncConnection, bucket: Bucket) -> bool:
    """Count an attempt in a bucket; False when it is full."""
    return (await connection.execute(_TAKE, bucket.values())).first() is not None


async def give_back(connection: AsyncConnection, buckets: Iterable[Bucket]) -> None:
    """Uncount attempts that turned out well."""
    for bucket in in_order(buckets):
        await connection.execute(_GIVE_BACK, {**bucket.names(), "every": bucket.limit.every})


async def forget(connection: AsyncConnection, buckets: Iterable[Bucket]) -> None:
    """Begin anew with empty buckets."""
    for bucket in in_order(buckets):
        await connection.execute(_FORGET, bucket.names())


async def clean(connection: AsyncConnection) -> None:
    """Delete empty buckets: they mean the same as none."""
    await connection.execute(_CLEAN)


def in_order(buckets: Iterable[Bucket]) -> Sequence[Bucket]:
    """One order for everybody, so that no two wait for each other's rows."""
    return sorted(buckets, key=lambda bucket: (bucket.limit.scope, bucket.subject))


def refused(seconds: float) -> RateLimited:
    return RateLimited("too many attempts: wait before the next one", retry_after=max(1.0, seconds))


async def _wait(connection: AsyncConnection, bucket: Bucket) -> float:
    seconds = (await connection.execute(_WAIT, bucket.values())).scalar()
    return float(seconds or 0.0)
