"""The receiver's ledger over real PostgreSQL and two engines: each effect once, taken back once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from integration.common.event_stores import engine_over, make_database, rows
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_devkit.databases import Postgres
from pyairtable_platform.common import effects
from pyairtable_platform.common.database import NO_WORKSPACE, transaction
from pyairtable_platform.common.errors import FailedPrecondition, PyAirtableError, Reason, Unavailable

Engines = tuple[AsyncEngine, AsyncEngine]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres.start() as server:
        yield server


@pytest.fixture
async def engines(postgres: Postgres) -> AsyncIterator[Engines]:
    """Two replicas."""
    url = await make_database(postgres)
    both = (engine_over(url), engine_over(url))
    yield both
    for engine in both:
        await engine.dispose()


async def note(connection: AsyncConnection, event_id: str) -> None:
    await connection.execute(text("INSERT INTO heard (event_id, times) VALUES (:event_id, 1)"), {"event_id": event_id})


async def noted(engine: AsyncEngine) -> list[str]:
    return [row.event_id for row in await rows(engine, "SELECT event_id FROM heard ORDER BY number")]


async def once(engine: AsyncEngine, key: str = "saga:step", request: bytes = b"this", pause: float = 0) -> Any:
    """Ask for an effect that is seen in the table `heard`."""
    async with transaction(engine, NO_WORKSPACE) as connection:

        async def do() -> dict[str, Any]:
            await note(connection, key)
            await asyncio.sleep(pause)
            number = (await connection.execute(text("SELECT count(*) FROM heard"))).scalar_one()
            return {"number": number, "text": "ü"}

        return await effects.once(connection, key, request, do)


async def undo(engine: AsyncEngine, key: str = "saga:step") -> bool:
    async with transaction(engine, NO_WORKSPACE) as connection:

        async def take_back(answer: dict[str, Any]) -> None:
            assert answer["text"] == "ü"
            await connection.execute(text("DELETE FROM heard WHERE event_id = :key"), {"key": key})
            await note(connection, f"undone {key}")

        return await effects.undo(connection, key, take_back)


async def test_a_hundred_calls_at_once_over_two_replicas_have_one_effect_and_one_answer(engines: Engines) -> None:
    both = itertools.cycle(engines)
    answers = await asyncio.gather(*(once(next(both), pause=0.05) for _ in range(100)))
    assert answers == [{"number": 1, "text": "ü"}] * 100
    assert await noted(engines[0]) == ["saga:step"]


async def test_another_request_with_the_key_is_refused(engines: Engines) -> None:
    await once(engines[0])
    with pytest.raises(FailedPrecondition) as caught:
        await once(engines[1], request=b"that")
    assert caught.value.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert await noted(engines[0]) == ["saga:step"]


async def test_what_failed_can_be_asked_for_again(engines: Engines) -> None:
    async def fails() -> dict[str, Any]:
        raise RuntimeError("half way")

    async with transaction(engines[0], NO_WORKSPACE) as connection:
        with pytest.raises(RuntimeError):
            await effects.once(connection, "saga:step", b"this", fails)
        await note(connection, "the caller went on")
    assert (await once(engines[1]))["number"] == 2


async def test_who_waits_takes_over_when_the_first_is_rolled_back(engines: Engines) -> None:
    begun = asyncio.Event()

    async def first() -> None:
        async with transaction(engines[0], NO_WORKSPACE) as connection:

            async def do() -> dict[str, Any]:
                await note(connection, "of the first")
                return {}

            await effects.once(connection, "saga:step", b"this", do)
            begun.set()
            await asyncio.sleep(0.3)
            raise RuntimeError("after the effect, before the commit")

    failing = asyncio.create_task(first())
    await begun.wait()
    assert (await once(engines[1]))["number"] == 1
    with pytest.raises(RuntimeError):
        await failing
    assert await noted(engines[0]) == ["saga:step"]


async def test_an_effect_is_taken_back_once_and_stays_so(engines: Engines) -> None:
    await once(engines[0])
    both = itertools.cycle(engines)
    assert await asyncio.gather(*(undo(next(both)) for _ in range(20))) == [True] * 20
    assert await noted(engines[0]) == ["undone saga:step"]
    for request in (b"this", b"that"):
        with pytest.raises(FailedPrecondition) as caught:
            await once(engines[1], request=request)
        assert caught.value.reason is Reason.CONFLICT


async def test_an_effect_that_comes_after_its_undoing_is_refused(engines: Engines) -> None:
    assert await asyncio.gather(*(undo(engine) for engine in engines * 5)) == [False] * 10
    with pytest.raises(FailedPrecondition) as caught:
        await once(engines[1])
    assert caught.value.reason is Reason.CONFLICT
    assert await undo(engines[0]) is False
    assert await noted(engines[0]) == []


async def test_an_effect_and_its_undoing_at_once_leave_nothing(engines: Engines) -> None:
    for number in range(20):
        key = f"saga:{number}"
        both = await asyncio.gather(once(engines[0], key), undo(engines[1], key), return_exceptions=True)
        done: Any = both[0]
        undone: Any = both[1]
        if undone is True:
            assert done["text"] == "ü"
        else:
            assert undone is False
            assert isinstance(done, PyAirtableError)
    assert [event_id for event_id in await noted(engines[0]) if not event_id.startswith("undone")] == []


async def test_a_take_back_that_fails_leaves_the_effect(engines: Engines) -> None:
    await once(engines[0])

    async def fails(_: dict[str, Any]) -> None:
        raise RuntimeError("not now")

    with pytest.raises(RuntimeError):
        async with transaction(engines[0], NO_WORKSPACE) as connection:
            await effects.undo(connection, "saga:step", fails)
    assert (await once(engines[1]))["number"] == 1
    assert await undo(engines[0]) is True


async def test_a_kill_of_postgresql_before_the_commit_leaves_no_effect_and_no_key() -> None:
    with Postgres.start() as server:
        engine = engine_over(await make_database(server))
        with pytest.raises(Unavailable):
            async with transaction(engine, NO_WORKSPACE) as connection:

                async def do() -> dict[str, Any]:
                    await note(connection, "lost")
                    return {}

                await effects.once(connection, "saga:step", b"this", do)
                await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.restart)
        assert (await once(engine))["number"] == 1
        await asyncio.to_thread(server.kill)  # after the commit
        await asyncio.to_thread(server.restart)
        assert (await once(engine))["number"] == 1
        assert await noted(engine) == ["saga:step"]
        await engine.dispose()
