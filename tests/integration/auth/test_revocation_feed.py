"""RevocationFeed of sessions from the transaction that ends them to the readers of another replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.auth.revocations import (
    CHANNEL,
    Revocation,
    RevocationFeed,
    TableFollower,
    Told,
    session_ended,
    session_restored,
)
from pyairtable_platform.common.database import open_engine
from pyairtable_platform.common.notifications import Listener
from pyairtable_platform.common.settings import DatabaseSettings


@dataclass
class Replica:
    """One that follows the table, and a reader of its feed."""

    engine: AsyncEngine
    revocations: RevocationFeed
    follower: TableFollower
    read: list[Told] = field(default_factory=list)

    async def end(self, *sessions: str) -> None:
        async with self.engine.begin() as connection:
            await session_ended(connection, *sessions)

    async def restore(self, *sessions: str) -> None:
        async with self.engine.begin() as connection:
            await session_restored(connection, *sessions)

    def known(self) -> set[str]:
        return {revocation.session for revocation in self.revocations.snapshot().revocations}

    async def follow(self) -> None:
        async for told in self.revocations.watch():
            self.read.append(told)

    def heard(self) -> set[str]:
        """What the reader makes of the messages."""
        heard: set[str] = set()
        for told in self.read:
            sessions = {revocation.session for revocation in told.revocations}
            heard = sessions if told.is_snapshot else heard | sessions
        return heard


async def until(condition: object) -> None:
    async with asyncio.timeout(30):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


@asynccontextmanager
async def replica_over(database_url: str, look_seconds: float, *, listens: bool = True) -> AsyncIterator[Replica]:
    engine = open_engine(DatabaseSettings(database_url=database_url, db_pool_size=5), "auth")  # type: ignore[arg-type]
    revocations = RevocationFeed()
    follower = TableFollower(engine, revocations, look_seconds=look_seconds)
    replica = Replica(engine, revocations, follower)
    listener = Listener(engine, CHANNEL, heard=follower.hint, missed=follower.hint)
    await follower.look()
    tasks = [
        asyncio.create_task(work()) for work in ([listener.run] if listens else []) + [follower.run, replica.follow]
    ]
    try:
        yield replica
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await engine.dispose()


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[tuple[Replica, Replica]]:
    """The second one never looks by itself: what it knows it was notified of."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(replica_over(database_url, 0.05, listens=False))
        yield first, await stack.enter_async_context(replica_over(database_url, 3600))


async def test_an_ended_session_reaches_readers_of_every_replica(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    await first.end("login:1", "api-key:2")
    for replica in replicas:
        await until(lambda replica=replica: replica.heard() == {"login:1", "api-key:2"})
    await second.end("login:1")
    await first.end("login:3")
    for replica in replicas:
        await until(lambda replica=replica: replica.heard() == {"login:1", "api-key:2", "login:3"})
        told = [revocation.session for message in replica.read for revocation in message.revocations]
        assert len(told) == 3, "what was known already is not told again"


async def test_what_is_rolled_back_is_not_told(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    with pytest.raises(ZeroDivisionError):
        async with first.engine.begin() as connection:
            await session_ended(connection, "login:never")
            raise ZeroDivisionError
    await first.end("login:after")
    await until(lambda: second.heard() == {"login:after"})
    await until(lambda: first.heard() == {"login:after"})


async def test_who_commits_late_is_not_passed_over(replicas: tuple[Replica, Replica]) -> None:
    """The one that began first ends last: its number is below those that were read meanwhile."""
    first, second = replicas
    async with first.engine.begin() as connection:
        await session_ended(connection, "login:slow")
        await second.end("login:quick")
        await until(lambda: first.heard() == {"login:quick"})
    for replica in replicas:
        await until(lambda replica=replica: replica.heard() == {"login:quick", "login:slow"})


async def test_a_restored_session_is_forgotten_by_readers(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    await first.end("access-key:a", "access-key:b")
    await until(lambda: second.heard() == {"access-key:a", "access-key:b"})
    await first.restore("access-key:a", "access-key:unknown")
    for replica in replicas:
        await until(lambda replica=replica: replica.heard() == {"access-key:b"})
    await first.end("access-key:a")
    for replica in replicas:
        await until(lambda replica=replica: replica.heard() == {"access-key:a", "access-key:b"})


async def test_a_replica_that_starts_knows_what_ended_before(
    replicas: tuple[Replica, Replica], database_url: str
) -> None:
    await replicas[0].end("login:early")
    async with replica_over(database_url, 3600) as third:
        await until(lambda: third.heard() == {"login:early"})
        assert third.read[0].is_snapshot


async def test_what_no_token_can_show_any_more_is_deleted(replicas: tuple[Replica, Replica], database_url: str) -> None:
    await replicas[0].end("login:old", "login:new")
    async with replicas[0].engine.begin() as connection:
        old = "UPDATE revocations SET ended_at = now() - interval '2 hours' WHERE session = 'login:old'"
        await connection.execute(sqlalchemy.text(old))
    async with replica_over(database_url, 3600) as third:
        assert third.known() == {"login:new"}
        async with third.engine.begin() as connection:
            rows = await connection.execute(sqlalchemy.text("SELECT session FROM revocations"))
            assert [row.session for row in rows] == ["login:new"]


async def test_a_hundred_that_end_the_same_do_not_wait_for_each_other(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    sessions = [f"login:{number}" for number in range(20)]
    calls = [
        (first, second)[number % 2].end(*(sessions if number % 3 else reversed(sessions))) for number in range(100)
    ]
    await asyncio.gather(*calls)
    for replica in replicas:
        await until(lambda replica=replica: replica.heard() == set(sessions))


async def test_revisions_are_no_sessions(replicas: tuple[Replica, Replica]) -> None:
    first, _ = replicas
    first.revocations.add([Revocation(workspace="acme", revision=3)])
    await first.end("login:1")
    await until(lambda: first.heard() == {"login:1", ""})
    first.revocations.replace_rights("r2", [])
    await until(lambda: first.heard() == {"login:1"})
