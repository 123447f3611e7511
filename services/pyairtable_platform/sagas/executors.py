"""The replicas that carry sagas out: each holds a lease, and one whose lease ended is declared dead and inherited.

A replica has a name that stays the same over its restarts, and counts its lives. What it does it does in the name of
one life; when another life begins (it was restarted), or it was declared dead, whatever the old life still wants to
write finds no row. Times are the database's alone.
"""

from __future__ import annotations

import asyncio
import logging
import time

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.database import NO_WORKSPACE, transaction
from pyairtable_platform.common.errors import Unavailable

log = logging.getLogger(__name__)

_TAKE = sa.text(
    "INSERT INTO executors (name, life, lease_until) "
    "VALUES (:name, 1, clock_timestamp() + make_interval(secs => :seconds)) ON CONFLICT (name) DO UPDATE "
    "SET life = executors.life + 1, lease_until = excluded.lease_until RETURNING life"
)
_RENEW = sa.text(
    "UPDATE executors SET lease_until = clock_timestamp() + make_interval(secs => :seconds) "
    "WHERE name = :name AND life = :life RETURNING 1"
)
_LEAVE = sa.text(
    "UPDATE executors SET life = life + 1, lease_until = 'infinity' WHERE name = :name AND life = :life RETURNING 1"
)
# Renewing and declaring dead meet at the row: of the two, one finds what it looks for.
_BURY = sa.text(
    "UPDATE executors SET life = life + 1, lease_until = 'infinity' "
    "WHERE lease_until < clock_timestamp() RETURNING name"
)
_LIVING = sa.text("SELECT name || '/' || life AS executor FROM executors")


class LeaseLost(RuntimeError):
    """This process was taken for dead: it must end, and begin again as another life."""


class Lease:
    """The lease of this process. `take` it first; `keep` it as long as the process lives."""

    def __init__(self, engine: AsyncEngine, name: str, seconds: float) -> None:
        self._engine = engine
        self._name = name
        self._seconds = seconds
        self._life = 0
        self._lost = asyncio.Event()
        self._renewed_at = self._steady_since = float("inf")

    @property
    def executor(self) -> str:
        """This life of this replica: name/number."""
        return f"{self._name}/{self._life}"

    def lose(self) -> None:
        """Somebody found that the lease is lost."""
        self._lost.set()

    async def take(self) -> None:
        """Begin a life; those before it, also one that still runs, can write nothing any more."""
        values = {"name": self._name, "seconds": self._seconds}
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            self._life = int((await connection.execute(_TAKE, values)).scalar_one())
        self._renewed_at = self._steady_since = time.monotonic()

    def may_judge(self) -> bool:
        """Whether others that did not renew can be taken for dead.

        After the database was away, or this process was frozen, everybody first gets the time to renew.
        """
        return time.monotonic() - self._steady_since > self._seconds

    async def keep(self) -> None:
        """Renew the lease for ever; raises LeaseLost when another life began or this one was declared dead.

        While the database is away nobody can be declared dead either.
        """
        values = {"name": self._name, "life": self._life, "seconds": self._seconds}
        while not self._lost.is_set():
            try:
                async with transaction(self._engine, NO_WORKSPACE) as connection:
                    if (await connection.execute(_RENEW, values)).first() is None:
                        break
                self._renewed()
            except Unavailable as error:
                log.warning("the lease cannot be renewed", extra={"error": error.message})
            await self._wait(self._seconds / 4)
        raise LeaseLost(
            f"{self.executor} was taken for dead by another replica, or started a second time: starting anew"
        )

    async def leave(self) -> None:
        """End this life, so that others inherit at once."""
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            await connection.execute(_LEAVE, {"name": self._name, "life": self._life})

    def _renewed(self) -> None:
        now = time.monotonic()
        if now - self._renewed_at > self._seconds:
            self._steady_since = now
        self._renewed_at = now

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._lost.wait()
        except TimeoutError:
            return


async def bury_the_dead(engine: AsyncEngine) -> list[str]:
    """Declare those dead whose lease ended; their names."""
    async with transaction(engine, NO_WORKSPACE) as connection:
        return [row.name for row in await connection.execute(_BURY)]


async def living(engine: AsyncEngine) -> set[str]:
    """The executors (name/life) that count."""
    async with transaction(engine, NO_WORKSPACE) as connection:
        return {row.executor for row in await connection.execute(_LIVING)}
