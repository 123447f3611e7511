"""People in PostgreSQL: once per key, found by any begin of a word, listed in a stable order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.database import open_engine
from pyairtable_platform.common.errors import FailedPrecondition, NotFound, Reason
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.users.names import words
from pyairtable_platform.users.records import Place, Preferences, Profile
from pyairtable_platform.users.store import UserStore, bounds, page_query

MADE = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
async def engine(users_database: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(DatabaseSettings(database_url=users_database), "users")  # type: ignore[arg-type]
    yield engine
    await engine.dispose()


@pytest.fixture
def store(engine: AsyncEngine) -> UserStore:
    return UserStore(engine)


def person(user_id: str, display_name: str = "", **fields: Any) -> Profile:
    return Profile(user_id, f"{user_id}@acme.example", user_id, display_name or user_id, MADE, **fields)


async def add(store: UserStore, *people: Profile) -> None:
    for one in people:
        await store.create(one, f"{one.user_id}:create", one.user_id.encode())


async def ids(store: UserStore, search: str = "", *, with_deleted: bool = False, size: int = 100) -> list[str]:
    """All ids of a listing, page by page."""
    found: list[str] = []
    after: Place | None = None
    while True:
        page = await store.page(words(search), with_deleted, size, after)
        found += [one.user_id for one in page.profiles]
        if page.last is None:
            return found
        after = page.last


async def test_a_person_is_kept_with_everything(store: UserStore) -> None:
    await add(store, person("u1"))
    changed = replace(
        person("u1"),
        display_name="Ünïcode 🚀 山田",
        avatar_url="https://pictures.example/a.png",
        about="a\nb",
        time_zone="Europe/Berlin",
        locale="de-DE",
        deleted_at=MADE,
        changes_of_state=1,
        preferences=Preferences("acme", 2, "gemini-x", False, True),
    )
    async with store.locked("u1") as locked:
        await locked.save(changed)
    assert await store.find(["u1", "stranger"]) == [changed]
    assert await store.find([]) == []


async def test_a_profile_is_made_once_however_often_it_is_asked_for(store: UserStore) -> None:
    made = await asyncio.gather(*(store.create(person("u1"), "saga-1:create", b"one") for _ in range(5)))
    assert made == [True] * 5  # the same answer for the same key
    assert await store.create(person("u1", "Other"), "saga-2:create", b"two") is False
    assert (await store.find(["u1"]))[0].display_name == "u1"


async def test_a_key_means_one_request(store: UserStore) -> None:
    await store.create(person("u1"), "saga-1:create", b"one")
    with pytest.raises(FailedPrecondition) as refusal:
        await store.create(person("u2"), "saga-1:create", b"two")
    assert refusal.value.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert await store.find(["u2"]) == []


async def test_only_what_a_key_made_is_taken_back(store: UserStore) -> None:
    await store.create(person("u1"), "saga-1:create", b"one")
    await store.create(person("u1"), "saga-2:create", b"two")
    assert await store.undo_create("u1", "saga-2:create")
    assert await ids(store) == ["u1"]
    assert await store.undo_create("u1", "saga-1:create")
    assert await store.undo_create("u1", "saga-1:create")  # repeated
    assert await ids(store) == []


async def test_what_was_taken_back_before_it_came_is_refused(store: UserStore) -> None:
    assert not await store.undo_create("u1", "saga-1:create")
    with pytest.raises(FailedPrecondition) as refusal:
        await store.create(person("u1"), "saga-1:create", b"one")
    assert refusal.value.reason is Reason.CONFLICT
    assert await ids(store) == []


async def test_a_key_takes_back_nobody_elses_profile(store: UserStore) -> None:
    await add(store, person("u1"), person("u2"))
    with pytest.raises(FailedPrecondition, match="another person's profile"):
        await store.undo_create("u2", "u1:create")
    assert await ids(store) == ["u1", "u2"]


async def test_people_are_found_by_the_begin_of_any_word(store: UserStore) -> None:
    await add(store, person("u1", "Ada Lovelace"), person("u2", "Łukasz Ångström"), person("u3", "Ольга 山田"))
    assert await ids(store, "LOVE") == ["u1"]
    assert await ids(store, "ang") == ["u2"]
    assert await ids(store, "ольг") == ["u3"]
    assert await ids(store, "山") == ["u3"]
    assert await ids(store, "u2@acme") == ["u2"]
    assert await ids(store, "ada love") == ["u1"]
    assert await ids(store, "ada ang") == []
    assert await ids(store, "velace") == []
    assert await ids(store, "%") == await ids(store)  # the service takes signs only for nobody
    assert set(await ids(store, "acme")) == {"u1", "u2", "u3"}


async def test_a_changed_name_is_found_and_the_old_one_not(store: UserStore) -> None:
    await add(store, person("u1", "Ada"))
    async with store.locked("u1") as locked:
        await locked.save(replace(locked.profile, display_name="Grace"))
    assert (await ids(store, "gra"), await ids(store, "ada")) == (["u1"], [])


async def test_pages_are_stable_while_people_come_go_and_change(store: UserStore) -> None:
    await add(store, *(person(f"u{number}", f"Name {number}") for number in range(6)))
    first = await store.page([], False, 3, None)
    assert [one.user_id for one in first.profiles] == ["u0", "u1", "u2"]
    await add(store, person("early", "Aaron"), person("late", "Zoe"))
    await store.erase("u2", "k", b"")  # the place of the token itself
    async with store.locked("u4") as locked:
        await locked.save(replace(locked.profile, about="changed"))
    second = await store.page([], False, 10, first.last)
    assert [one.user_id for one in second.profiles] == ["u3", "u4", "u5", "late"]
    assert second.last is None


async def test_equal_names_are_listed_by_id_over_page_borders(store: UserStore) -> None:
    await add(store, *(person(f"u{number}", ["zoë", "Zoe", "ZOË"][number % 3]) for number in range(7)))
    assert await ids(store, size=2) == [f"u{number}" for number in range(7)]


async def test_deleted_people_are_listed_when_asked_for(store: UserStore) -> None:
    await add(store, person("u1"), person("u2", deleted_at=MADE))
    assert await ids(store) == ["u1"]
    assert await ids(store, with_deleted=True) == ["u1", "u2"]


async def test_who_changes_a_person_waits_for_who_came_before(store: UserStore) -> None:
    await add(store, person("u1"))
    inside = asyncio.Event()

    async def slow() -> None:
        async with store.locked("u1") as locked:
            inside.set()
            await asyncio.sleep(0.1)
            await locked.save(replace(locked.profile, about="slow"))

    task = asyncio.create_task(slow())
    await inside.wait()
    async with store.locked("u1") as locked:
        assert locked.profile.about == "slow"
        await locked.save(replace(locked.profile, locale="de"))
    await task
    (profile,) = await store.find(["u1"])
    assert (profile.about, profile.locale) == ("slow", "de")


async def test_an_error_in_the_block_takes_changes_back(store: UserStore) -> None:
    await add(store, person("u1"))
    with pytest.raises(RuntimeError):
        async with store.locked("u1") as locked:
            await locked.save(replace(locked.profile, about="new"))
            raise RuntimeError
    assert (await store.find(["u1"]))[0].about == ""
    with pytest.raises(NotFound):
        async with store.locked("stranger"):
            pass


async def test_an_erased_person_leaves_nothing_but_the_keys(store: UserStore, engine: AsyncEngine) -> None:
    await add(store, person("u1", "Ada Lovelace"))
    assert await store.erase("u1", "saga:erase", b"u1") == {"profiles": 1}
    assert await store.erase("u1", "saga:erase", b"u1") == {"profiles": 1}  # the same answer
    assert await store.erase("u1", "saga-2:erase", b"u1") == {}
    async with engine.connect() as connection:
        for table in ("profiles", "profile_words", "effects"):
            rows = (await connection.execute(sqlalchemy.text(f"SELECT * FROM {table}"))).all()  # noqa: S608
            assert "lovelace" not in repr(rows).lower()
            assert "@acme.example" not in repr(rows)


async def test_a_search_reads_the_index_of_words(store: UserStore, engine: AsyncEngine) -> None:
    await add(store, person("u1", "Ada"))
    query = page_query(1, with_deleted=False).text
    values = {"name": "", "user_id": "", "size": 10, **bounds(["ada"])}
    async with engine.connect() as connection:
        await connection.execute(sqlalchemy.text("SET enable_seqscan = off"))
        plan = (await connection.execute(sqlalchemy.text(f"EXPLAIN {query}"), values)).scalars().all()
    assert "profile_words_pkey" in "\n".join(plan), plan


async def test_a_listing_reads_its_index_in_order(engine: AsyncEngine) -> None:
    query = page_query(0, with_deleted=False).text
    async with engine.connect() as connection:
        for way in ("seqscan", "bitmapscan", "sort"):  # of an empty table the planner would take any
            await connection.execute(sqlalchemy.text(f"SET enable_{way} = off"))
        values = {"name": "m", "user_id": "", "size": 10}
        plan = "\n".join((await connection.execute(sqlalchemy.text(f"EXPLAIN {query}"), values)).scalars().all())
    assert "profiles_listed" in plan
    assert "Sort" not in plan
