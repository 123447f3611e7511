"""The tables of the user service come and go, with people in them; the service's role may not change them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy
from sqlalchemy.exc import ProgrammingError

from pyairtable_platform.common.database import open_engine
from pyairtable_platform.common.migrations import migrate_async
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.users.records import Profile
from pyairtable_platform.users.store import UserStore


async def test_tables_go_with_their_people_and_come_back_empty(users_database: str) -> None:
    settings = DatabaseSettings(database_url=users_database)  # type: ignore[arg-type]
    engine = open_engine(settings, "users")
    store = UserStore(engine)
    person = Profile("u1", "ada@acme.example", "ada", "Ada", datetime.now(UTC))
    try:
        assert await store.create(person, "saga-1:create", b"one")
        await engine.dispose()
        await migrate_async(settings, ("users",), "base")
        await migrate_async(settings, ("users",))
        assert await store.find(["u1"]) == []
        assert await store.create(person, "saga-1:create", b"one")
    finally:
        await engine.dispose()


@pytest.mark.parametrize("statement", ["DROP TABLE profiles", "TRUNCATE profiles", "ALTER TABLE effects ADD x int"])
async def test_the_service_may_not_change_its_tables(users_database: str, statement: str) -> None:
    engine = open_engine(DatabaseSettings(database_url=users_database), "users")  # type: ignore[arg-type]
    try:
        with pytest.raises(ProgrammingError, match=r"must be owner|permission denied"):
            async with engine.begin() as connection:
                await connection.execute(sqlalchemy.text(statement))
    finally:
        await engine.dispose()
