"""Who follows a saga hears of each change, at once and once, and asks the database no more than that takes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from pyairtable_platform.common.wakeups import Wakeups
from pyairtable_platform.sagas.changes import Changes
from pyairtable_platform.sagas.model import Saga, SagaState
from pyairtable_platform.sagas.store import SagaStore

BEGAN = datetime(2026, 11, 23, tzinfo=UTC)


def saga() -> Saga:
    return Saga("s1", "workspace_creation", SagaState.RUNNING, "acme", "", "user:u1", {}, BEGAN, BEGAN)


class OneSaga:
    """A store with one saga, which counts how often it is read."""

    def __init__(self) -> None:
        self.saga, self.reads = saga(), 0

    def change(self, state: SagaState = SagaState.RUNNING) -> None:
        self.saga = replace(self.saga, state=state, updated_at=self.saga.updated_at + timedelta(seconds=1))

    async def read(self, saga_id: str) -> Saga:
        self.reads += 1
        await asyncio.sleep(0)
        return self.saga


def following(store: OneSaga, wakeups: Wakeups | None = None) -> tuple[Changes, list[Saga], asyncio.Task[None]]:
    changes, heard = Changes(cast(SagaStore, store), wakeups or Wakeups()), list[Saga]()

    async def follow() -> None:
        async for each in changes.follow(saga()):
            heard.append(each)

    return changes, heard, asyncio.create_task(follow())


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_each_change_is_heard_and_costs_one_look() -> None:
    store, wakeups = OneSaga(), Wakeups()
    _, heard, task = following(store, wakeups)
    await settled()
    assert (len(heard), store.reads) == (1, 1), "one look, for what changed before it was followed"
    for number in range(3):
        store.change(SagaState.COMPLETED if number == 2 else SagaState.RUNNING)
        wakeups.wake("s1")
        await settled()
        assert (heard[-1], len(heard), store.reads) == (store.saga, number + 2, number + 2)
    await asyncio.wait_for(task, 10)


async def test_a_change_that_nobody_told_of_is_found() -> None:
    store = OneSaga()
    _, heard, task = following(store)
    await settled()
    store.change(SagaState.COMPLETED)
    await asyncio.wait_for(task, 30)
    assert heard[-1].state is SagaState.COMPLETED


async def test_a_change_during_the_look_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyairtable_platform.sagas.changes.until_woken", lambda woken: woken.wait())
    store, wakeups = OneSaga(), Wakeups()

    class Late(OneSaga):
        async def read(self, saga_id: str) -> Saga:
            before = await store.read(saga_id)
            if store.reads == 1:  # it ends right after it was read
                store.change(SagaState.COMPLETED)
                wakeups.wake(saga_id)
            return before

    _, heard, task = following(Late(), wakeups)
    await asyncio.wait_for(task, 30)
    assert heard[-1].state is SagaState.COMPLETED


async def test_a_replica_that_goes_ends_what_is_followed() -> None:
    changes, heard, task = following(OneSaga())
    await settled()
    changes.close()
    await asyncio.wait_for(task, 10)
    assert len(heard) == 1
