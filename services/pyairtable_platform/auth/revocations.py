"""What ended before its time: credentials for good (PostgreSQL) and rights in workspaces (the registry), as one feed.

Sessions lie in the table `revocations`, written in the transaction that ends them. Rights are not written: every
replica sees them change in the registry that it follows (memberships.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.common.database import NO_WORKSPACE, transaction
from pyairtable_platform.common.errors import Unavailable
from pyairtable_platform.common.identity import TOKEN_SECONDS
from pyairtable_platform.common.wakeups import Follower

from .signing import RENEWABLE_SECONDS

CHANNEL = "auth_revocations"

KEPT_SECONDS = RENEWABLE_SECONDS + TOKEN_SECONDS + 240.0
"""So long a token could still be shown, to be renewed at the last; and some clocks are wrong."""

LOOK_SECONDS = 3.0
"""How long a revocation may go unnoticed when its notification was lost."""

_CLEAN_SECONDS = 300.0
_QUEUED = 200

_END = text(
    "INSERT INTO revocations (session) VALUES (:session) ON CONFLICT (session) "
    "DO UPDATE SET counts = true, ended_at = now(), changed_by = pg_current_xact_id()"
)
_RESTORE = text(
    "UPDATE revocations SET counts = false, ended_at = now(), changed_by = pg_current_xact_id() "
    "WHERE session = :session AND counts"
)
_NOTIFY = text("SELECT pg_notify(:channel, '')")
# Numbers of transactions, for times and sequences would pass over what is committed late: whatever is not yet visible
# in a snapshot is of a transaction not below its xmin.
_LOOK = text(
    "SELECT pg_snapshot_xmin(pg_current_snapshot()) AS seen, "
    "ended.session, ended.counts, CAST(extract(epoch FROM now() - ended.ended_at) AS float) AS age "
    "FROM (SELECT 1) always LEFT JOIN revocations ended ON ended.changed_by >= CAST(:seen AS xid8)"
)
_CLEAN = text("DELETE FROM revocations WHERE ended_at < now() - make_interval(secs => :seconds)")


async def session_ended(connection: AsyncConnection, *sessions: str) -> None:
    """Say, in the caller's transaction, that sessions ("login:...", "api-key:...", "access-key:...") ended for good.

    From the commit on their tokens are refused everywhere, within a moment. Repeating it changes nothing.
    """
    for session in sorted(set(sessions)):  # in one order, so that two who end the same do not wait for each other
        await connection.execute(_END, {"session": session})
    if sessions:
        await connection.execute(_NOTIFY, {"channel": CHANNEL})


async def session_restored(connection: AsyncConnection, *sessions: str) -> None:
    """Take `session_ended` back, for credentials that work again (a declared key, the keys of a restored account)."""
    for session in sorted(set(sessions)):
        await connection.execute(_RESTORE, {"session": session})
    if sessions:
        await connection.execute(_NOTIFY, {"channel": CHANNEL})


@dataclass(frozen=True)
class Revocation:
    """Either a session, or the rights that a principal ("" is everybody) had in a workspace before a revision."""

    session: str = ""
    workspace: str = ""
    principal: str = ""
    revision: int = 0


@dataclass(frozen=True)
class Told:
    """A message of the feed; a snapshot replaces what the reader knew."""

    is_snapshot: bool
    revocations: tuple[Revocation, ...]
    registry: str = ""
    """Of a snapshot: whose revisions these are; empty before it was heard."""


@dataclass(eq=False)
class _Reader:
    waiting: asyncio.Queue[Told | None] = field(default_factory=lambda: asyncio.Queue(_QUEUED))
    overtaken: bool = False

    def drop_waiting(self) -> None:
        while not self.waiting.empty():
            self.waiting.get_nowait()


@dataclass
class _Kept:
    revocation: Revocation
    until: float


class RevocationFeed:
    """This replica's copy of all revocations that still matter. One event loop, so no locks."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str, str], _Kept] = {}
        self._readers: set[_Reader] = set()
        self._registry = ""
        self._is_read = False

    async def check(self) -> None:
        """For readiness: raises until the table was read once."""
        if not self._is_read:
            raise Unavailable("the revocations have not been read yet: is PostgreSQL up?", dependency="postgres")

    def table_was_read(self) -> None:
        self._is_read = True

    def add(self, found: Iterable[Revocation], age: float = 0.0) -> None:
        """Take in what ended `age` seconds ago, and tell what is new."""
        if new := self._keep(found, self._clock() + KEPT_SECONDS - age):
            self._tell(Told(False, tuple(new)))

    def restore(self, sessions: Iterable[str]) -> None:
        """Forget sessions that count again."""
        known = [of for session in sessions if (of := (session, "", "")) in self._kept]
        for of in known:
            del self._kept[of]
        if known:
            self._tell_all_anew()

    def replace_rights(self, registry: str, found: Iterable[Revocation]) -> None:
        """Forget the revisions of another registry, and take in those of this one: in one message, so that nobody is
        told in between that there are none."""
        self._kept = {of: kept for of, kept in self._kept.items() if kept.revocation.session}
        self._registry = registry
        self._keep(found, self._clock() + KEPT_SECONDS)
        self._tell_all_anew()

    def snapshot(self) -> Told:
        """All that still matters."""
        now = self._clock()
        self._kept = {of: kept for of, kept in self._kept.items() if kept.until > now}
        return Told(True, tuple(kept.revocation for kept in self._kept.values()), self._registry)

    async def watch(self) -> AsyncIterator[Told]:
        """A snapshot, then each revocation. A reader that falls behind gets a new snapshot for what it missed."""
        await self.check()
        reader = _Reader()
        self._readers.add(reader)
        try:
            yield self.snapshot()
            while (told := await reader.waiting.get()) is not None:
                if reader.overtaken:
                    reader.overtaken = False
                    reader.drop_waiting()
                    told = self.snapshot()
                yield told
        finally:
            self._readers.discard(reader)

    def close(self) -> None:
        """End every watch: this process stops, and its readers go to another one."""
        self._tell(None)

    def _keep(self, found: Iterable[Revocation], until: float) -> list[Revocation]:
        """Keep the later state of each; those that are new."""
        new = []
        for revocation in found:
            of = (revocation.session, revocation.workspace, revocation.principal)
            known = self._kept.get(of)
            if known is None or revocation.revision > known.revocation.revision:
                self._kept[of] = _Kept(revocation, until)
                new.append(revocation)
        return new

    def _tell_all_anew(self) -> None:
        self._tell(self.snapshot())

    def _tell(self, told: Told | None) -> None:
        for reader in self._readers:
            if told is None:
                reader.overtaken = False
                reader.drop_waiting()
            try:
                reader.waiting.put_nowait(told)
            except asyncio.QueueFull:
                reader.overtaken = True


class TableFollower(Follower):
    """Keeps the copy current. While PostgreSQL is away what is known goes on counting."""

    def __init__(self, engine: AsyncEngine, revocations: RevocationFeed, *, look_seconds: float = LOOK_SECONDS) -> None:
        away = "revocations cannot be read: those known go on counting"
        super().__init__(self.look, look_seconds=look_seconds, when_away=away)
        self._engine = engine
        self._revocations = revocations
        self._seen = 0
        self._clean_at = 0.0

    async def look(self) -> None:
        """Read what changed since the last look."""
        async with transaction(self._engine, NO_WORKSPACE) as connection:
            rows = (await connection.execute(_LOOK, {"seen": self._seen})).all()
            if time.monotonic() >= self._clean_at:
                await connection.execute(_CLEAN, {"seconds": KEPT_SECONDS})
                self._clean_at = time.monotonic() + _CLEAN_SECONDS
        ended = [row for row in rows if row.session is not None]
        for row in ended:
            if row.counts:
                self._revocations.add([Revocation(row.session)], row.age)
        self._revocations.restore(row.session for row in ended if not row.counts)
        self._seen = rows[0].seen
        self._revocations.table_was_read()
