"""Starting, listing, cancelling and resuming in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import text

from pyairtable_platform.common.database import EVERY_WORKSPACE, open_engine, transaction
from pyairtable_platform.common.errors import FailedPrecondition, InvalidInput
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.sagas.model import SagaState
from pyairtable_platform.sagas.service import Filter, NewSaga
from pyairtable_platform.sagas.store import SagaStore

NEW = NewSaga("user_onboarding", ("a", "b"), "u1", "", "user:u1", {"user_id": "u1"}, "peer", "key-1")


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SagaStore]:
    engine = open_engine(DatabaseSettings.model_validate({"database_url": database_url}), "sagas")
    yield SagaStore(engine)
    await engine.dispose()


async def put(store: SagaStore, saga_id: str, columns: str) -> None:
    async with transaction(store._engine, EVERY_WORKSPACE) as connection:
        await connection.execute(text(f"UPDATE sagas SET {columns} WHERE saga_id = :id"), {"id": saga_id})  # noqa: S608


async def test_of_many_starts_at_once_one_saga_comes(store: SagaStore) -> None:
    wanted = [replace(NEW, key=f"key-{number % 4}") for number in range(20)]
    started = await asyncio.gather(*(store.start(new) for new in wanted))
    assert len({saga.saga_id for saga, _ in started}) == 1
    assert sum(is_new for _, is_new in started) == 1


async def test_a_key_stands_for_its_saga_after_the_end_and_for_no_other_input(store: SagaStore) -> None:
    first, _ = await store.start(NEW)
    await put(store, first.saga_id, "state = 'COMPLETED', ended_at = now()")
    again, is_new = await store.start(NEW)
    assert again.saga_id == first.saga_id and not is_new and again.state is SagaState.COMPLETED
    with pytest.raises(FailedPrecondition, match="another request") as error:
        await store.start(replace(NEW, input={"user_id": "u2"}))
    assert error.value.reason == "IDEMPOTENCY_KEY_REUSED"
    another, is_new = await store.start(replace(NEW, key="key-2"))
    assert is_new and another.saga_id != first.saga_id


async def test_pages_go_on_where_they_ended(store: SagaStore) -> None:
    for number in range(5):
        await store.start(replace(NEW, business_key=f"u{number}", key="", type="t" if number else "other"))
    page, token = await store.page(Filter(type="t"), 3, "")
    rest, end = await store.page(Filter(type="t"), 3, token)
    assert [saga.business_key for saga in [*page, *rest]] == ["u4", "u3", "u2", "u1"] and end == ""
    assert not (await store.page(Filter(principal="user:u2"), 3, ""))[0]
    with pytest.raises(InvalidInput):
        await store.page(Filter(), 3, "x")


async def test_only_what_runs_is_cancelled_and_only_what_failed_is_resumed(store: SagaStore) -> None:
    saga, _ = await store.start(NEW)
    assert not await store.resume(saga.saga_id)
    assert await store.cancel(saga.saga_id)
    await put(store, saga.saga_id, "state = 'FAILED', is_going_back = true, ended_at = now(), is_queued = true")
    assert not await store.cancel(saga.saga_id)
    assert await store.resume(saga.saga_id)
    resumed = await store.read(saga.saga_id)
    assert resumed is not None and resumed.state is SagaState.COMPENSATING and resumed.run == 2


async def test_a_failed_saga_is_not_resumed_beside_an_active_one(store: SagaStore) -> None:
    saga, _ = await store.start(NEW)
    await put(store, saga.saga_id, "state = 'FAILED', ended_at = now()")
    await store.start(replace(NEW, key="key-2"))
    with pytest.raises(FailedPrecondition, match="another saga"):
        await store.resume(saga.saga_id)


async def test_an_erased_person_is_in_no_saga_that_has_ended(store: SagaStore) -> None:
    saga, _ = await store.start(NEW)
    assert await store.in_progress_of_person("u1", but="") == (saga.saga_id, "user_onboarding")
    assert await store.in_progress_of_person("u1", but="user_onboarding") is None
    await put(store, saga.saga_id, "state = 'COMPLETED', ended_at = now()")
    assert await store.in_progress_of_person("u1", but="") is None
    assert await store.make_nobodys("u1") == 1
    assert await store.make_nobodys("u1") == 0
    left = await store.read(saga.saga_id)
    assert left is not None and (left.principal, left.business_key, left.input) == ("", "", {})
