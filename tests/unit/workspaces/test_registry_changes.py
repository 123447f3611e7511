"""The registry tells watchers what changed, and everything anew to those who fell behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pyairtable_platform.common.errors import NotFound
from pyairtable_platform.workspaces.documents import Spec
from pyairtable_platform.workspaces.service import QUEUED_CHANGES, Applied, Change, Registry, Removed, Snapshot


def spec(name: str = "") -> Spec:
    return Spec(display_name=name)


async def started(registry: Registry) -> AsyncIterator[Change]:
    changes = registry.watch()
    assert isinstance(await anext(changes), Snapshot)
    return changes


async def test_a_watcher_hears_of_what_differs_and_of_nothing_else() -> None:
    registry = Registry()
    registry.replace({"a": spec(), "b": spec()})
    changes = await started(registry)
    registry.replace({"a": spec(), "b": spec("new"), "c": spec()})
    registry.replace({"b": spec("new"), "c": spec()})
    heard = [await anext(changes) for _ in range(3)]
    assert [change.workspace.name for change in heard[:2] if isinstance(change, Applied)] == ["b", "c"]
    assert heard[2] == Removed("a")
    assert registry.get("b").version == 2
    assert registry.get("c").version == 1


async def test_who_falls_behind_gets_everything_anew() -> None:
    registry = Registry()
    changes = await started(registry)
    for number in range(QUEUED_CHANGES + 5):
        registry.replace({"a": spec(str(number))})
    heard = await anext(changes)
    assert isinstance(heard, Snapshot)
    assert heard.workspaces[0].spec.display_name == str(QUEUED_CHANGES + 4)


async def test_closing_ends_every_watch() -> None:
    registry = Registry()
    changes = await started(registry)
    registry.close()
    assert [change async for change in changes] == []


async def test_pages_go_on_where_the_last_one_ended() -> None:
    registry = Registry()
    registry.replace({name: spec() for name in "cabed"})
    names, token = [], ""
    while True:
        page, token = registry.page(2, token)
        names += [workspace.name for workspace in page]
        if not token:
            break
    assert names == list("abcde")


def test_an_unknown_one_is_named() -> None:
    with pytest.raises(NotFound, match="nope"):
        Registry().get("nope")
