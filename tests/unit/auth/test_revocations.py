"""The feed of revocations in memory: what is told to whom, and what is forgotten when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pyairtable_platform.auth.revocations import KEPT_SECONDS, Revocation, RevocationFeed, Told
from pyairtable_platform.common.errors import Unavailable


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def feed(clock: Clock) -> RevocationFeed:
    revocations = RevocationFeed(clock=clock)
    revocations.table_was_read()
    return revocations


def session(name: str) -> Revocation:
    return Revocation(session=name)


def rights(revision: int, principal: str = "", workspace: str = "acme") -> Revocation:
    return Revocation(workspace=workspace, principal=principal, revision=revision)


async def following(reader: AsyncIterator[Told]) -> Told:
    return await asyncio.wait_for(anext(reader), 5)


async def test_a_reader_gets_what_there_is_and_then_what_comes(feed: RevocationFeed) -> None:
    feed.add([session("login:1")])
    reader = feed.watch()
    assert await following(reader) == Told(True, (session("login:1"),))
    feed.add([session("login:1"), session("login:2")])
    assert await following(reader) == Told(False, (session("login:2"),))


async def test_only_later_revisions_are_news(feed: RevocationFeed) -> None:
    feed.add([rights(5), rights(5, "user:a"), rights(5, workspace="beta")])
    reader = feed.watch()
    assert len((await following(reader)).revocations) == 3
    feed.add([rights(4), rights(5), rights(6, "user:a")])
    assert await following(reader) == Told(False, (rights(6, "user:a"),))
    assert set(feed.snapshot().revocations) == {rights(5), rights(6, "user:a"), rights(5, workspace="beta")}


async def test_each_is_kept_as_long_as_a_token_could_be_shown(feed: RevocationFeed, clock: Clock) -> None:
    feed.add([session("login:old")], age=100)
    feed.add([session("login:new")])
    clock.now += KEPT_SECONDS - 101
    assert len(feed.snapshot().revocations) == 2
    clock.now += 2
    assert feed.snapshot().revocations == (session("login:new"),)


async def test_a_slow_reader_gets_everything_anew(feed: RevocationFeed) -> None:
    slow = feed.watch()
    assert (await following(slow)).revocations == ()
    for number in range(1000):
        feed.add([session(f"login:{number}")])
    told = await following(slow)
    assert told.is_snapshot
    assert len(told.revocations) == 1000
    feed.add([session("login:last")])
    assert await following(slow) == Told(False, (session("login:last"),))


async def test_what_counts_again_is_taken_back_from_readers(feed: RevocationFeed) -> None:
    feed.add([session("access-key:1"), rights(3)])
    reader = feed.watch()
    await following(reader)
    feed.restore(["access-key:unknown"])
    feed.restore(["access-key:1"])
    assert await following(reader) == Told(True, (rights(3),))
    feed.replace_rights("r2", [rights(1)])
    assert await following(reader) == Told(True, (rights(1),), "r2"), "never a word of no rights in between"


@pytest.mark.parametrize("behind", [0, 1, 1000])
async def test_readers_end_when_the_process_stops(feed: RevocationFeed, behind: int) -> None:
    reader = feed.watch()
    await following(reader)
    for number in range(behind):
        feed.add([session(f"login:{number}")])
    feed.close()
    with pytest.raises(StopAsyncIteration):
        await following(reader)


async def test_nobody_is_told_of_nothing_before_the_table_was_read() -> None:
    feed: Any = RevocationFeed()
    with pytest.raises(Unavailable):
        await feed.check()
    with pytest.raises(Unavailable):
        await anext(feed.watch())
