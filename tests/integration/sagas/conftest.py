"""A PostgreSQL with a database for each test, and the process that forks services."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from integration.sagas.place import Nursery, Place, prepared_postgres

from pyairtable_devkit.databases import Postgres

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with prepared_postgres() as server:
        yield server


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    name = f"sagas_{next(_numbers)}"
    yield postgres.create_database(name, template="sagas_template")
    postgres.drop_database(name)


@pytest.fixture
async def place(nursery: Nursery, database_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(nursery, tmp_path, database_url)
    place.start_receivers()
    yield place
    await place.close()
