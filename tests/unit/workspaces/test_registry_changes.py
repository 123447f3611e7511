"""The registry tells watchers what changed, and everything anew to those who fell behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from unit.workspaces.memory_store import MemoryStore, workspace

from pyairtable_platform.common.errors import NotFound, Unavailable
from pyairtable_platform.workspaces.listing import page_of
from pyairtable_platform.workspaces.service import QUEUED_CHANGES, Applied, Change, Registry, Removed, Snapshot


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def registry(store: MemoryStore) -> Registry:
    registry = Registry(store)
    await registry.refresh()
    return registry


async def watching(registry: Registry) -> AsyncIterator[Change]:
    changes = registry.watch()
    assert isinstance(await anext(changes), Snapshot)
    return changes


async def test_a_watcher_of_another_replica_hears_of_what_differs_in_order(
    store: MemoryStore, registry: Registry
) -> None:
    other = Registry(store)
    await other.refresh()
    changes = await watching(other)
    await registry.apply(workspace("a"))
    await registry.apply(workspace("b"))
    await registry.apply(workspace("a", display_name="new"))
    await registry.remove("b", "")
    await other.refresh()
    assert await anext(changes) == Applied(workspace("a", display_name="new", version=3))
    await registry.apply(workspace("c"))
    await registry.remove("a", "")
    await other.refresh()
    assert [await anext(changes) for _ in range(2)] == [Applied(workspace("c", version=5)), Removed("a", 6)]


async def test_versions_grow_over_removal_and_re_creation(registry: Registry) -> None:
    first, _ = await registry.apply(workspace())
    await registry.remove("acme", "")
    again, changed = await registry.apply(workspace(uid="another"))
    assert changed
    assert again.version > first.version + 1


async def test_repeating_changes_nothing(store: MemoryStore, registry: Registry) -> None:
    first, changed = await registry.apply(workspace())
    again, changed_again = await registry.apply(workspace())
    assert (changed, changed_again) == (True, False)
    assert again == first
    assert store.revision == 1
    assert not await registry.remove("nobody", "")


async def test_a_change_is_seen_at_once_where_it_was_made(registry: Registry) -> None:
    await registry.apply(workspace(suspended=True))
    assert registry.get("acme").suspended
    await registry.remove("acme", "")
    with pytest.raises(NotFound, match="acme"):
        registry.get("acme")


async def test_who_falls_behind_gets_everything_anew(registry: Registry) -> None:
    changes = await watching(registry)
    for number in range(QUEUED_CHANGES + 5):
        await registry.apply(workspace(display_name=str(number)))
    heard = await anext(changes)
    assert isinstance(heard, Snapshot)
    assert heard.workspaces[0].display_name == str(QUEUED_CHANGES + 4)
    assert heard.revision == QUEUED_CHANGES + 5


async def test_a_database_made_anew_is_told_as_a_whole(store: MemoryStore, registry: Registry) -> None:
    await registry.apply(workspace("old"))
    changes = await watching(registry)
    store.registry, store.revision, store.rows = "second", 0, {}
    await registry.refresh()
    assert await anext(changes) == Snapshot((), 0)
    assert registry.id == "second"


async def test_a_database_that_went_back_is_told_as_a_whole(store: MemoryStore, registry: Registry) -> None:
    await registry.apply(workspace("kept"))
    rows, revision = dict(store.rows), store.revision
    await registry.apply(workspace("lost"))
    store.rows, store.revision = rows, revision
    await registry.refresh()
    assert [item.name for item in registry.snapshot().workspaces] == ["kept"]


async def test_with_the_store_away_the_last_state_serves_and_nothing_is_written(
    store: MemoryStore, registry: Registry
) -> None:
    await registry.apply(workspace())
    store.is_away = True
    with pytest.raises(Unavailable):
        await registry.apply(workspace(suspended=True))
    with pytest.raises(Unavailable):
        await registry.remove("acme", "")
    assert not registry.get("acme").suspended
    changes = registry.watch()
    assert await anext(changes) == Snapshot((workspace(version=1),), 1)


async def test_nothing_is_answered_before_the_store_was_read() -> None:
    registry = Registry(MemoryStore())
    with pytest.raises(Unavailable):
        registry.get("acme")
    with pytest.raises(Unavailable):
        await anext(registry.watch())
    with pytest.raises(Unavailable):
        await registry.check()


async def test_closing_ends_every_watch(registry: Registry) -> None:
    changes = await watching(registry)
    registry.close()
    assert [change async for change in changes] == []


async def test_pages_go_on_where_the_last_one_ended(registry: Registry) -> None:
    for name in "cabed":
        await registry.apply(workspace(name))
    names, token = [], ""
    while True:
        page, token = page_of(registry.snapshot().workspaces, 2, token)
        names += [item.name for item in page]
        if not token:
            break
    assert names == list("abcde")
