"""Who may declare a workspace: generations, objects made anew, files beside custom resources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.workspaces.memory_store import UID, MemoryStore, workspace

from pyairtable_platform.common.errors import FailedPrecondition, NotFound, Reason, Unavailable
from pyairtable_platform.common.workspace import Source
from pyairtable_platform.workspaces.files import FileSource
from pyairtable_platform.workspaces.service import Registry


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def registry(store: MemoryStore) -> Registry:
    registry = Registry(store)
    await registry.refresh()
    return registry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "acme")
    return tmp_path


def write(folder: Path, name: str, **spec: object) -> Path:
    document = {"apiVersion": "pyairtable.dev/v1alpha1", "kind": "Workspace", "metadata": {"name": name}, "spec": spec}
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


async def test_an_earlier_generation_of_the_same_object_is_refused(registry: Registry) -> None:
    await registry.apply(workspace(generation=3))
    with pytest.raises(FailedPrecondition, match="generation 3") as caught:
        await registry.apply(workspace(generation=2, suspended=True))
    assert caught.value.reason is Reason.CONFLICT
    assert not registry.get("acme").suspended


async def test_the_same_generation_may_change_what_the_operator_adds(registry: Registry) -> None:
    await registry.apply(workspace(generation=3))
    _, changed = await registry.apply(workspace(generation=3, suspended=True))
    assert changed


async def test_an_object_made_anew_takes_over_whatever_its_generation(registry: Registry) -> None:
    await registry.apply(workspace(generation=9))
    taken, changed = await registry.apply(workspace(uid="another", generation=1))
    assert changed
    assert taken.source == Source("Workspace", "another", 1)


async def test_an_object_removes_only_what_it_declared(registry: Registry) -> None:
    await registry.apply(workspace(uid="another"))
    assert not await registry.remove("acme", UID)
    assert registry.get("acme").source.uid == "another"
    assert await registry.remove("acme", "another")


async def test_a_file_is_in_force_until_it_is_gone(registry: Registry, folder: Path) -> None:
    files = FileSource(folder, registry)
    await files.refresh()
    assert registry.get("acme").source == Source("File")
    write(folder, "acme", suspend=True)
    await files.refresh()
    assert registry.get("acme").suspended
    (folder / "acme.yaml").unlink()
    await files.refresh()
    with pytest.raises(NotFound):
        registry.get("acme")


async def test_an_object_is_refused_while_a_file_declares_the_name(registry: Registry, folder: Path) -> None:
    files = FileSource(folder, registry)
    await files.refresh()
    for attempt in (registry.apply(workspace()), registry.remove("acme", "")):
        with pytest.raises(FailedPrecondition, match=r"acme\.yaml") as caught:
            await attempt
        assert caught.value.reason is Reason.CONFLICT
    (folder / "acme.yaml").unlink()
    await files.refresh()
    _, changed = await registry.apply(workspace())
    assert changed


async def test_a_file_does_not_overwrite_an_object(registry: Registry, folder: Path) -> None:
    await registry.apply(workspace())
    files = FileSource(folder, registry)
    await files.refresh()
    assert registry.get("acme").source.kind == "Workspace"
    with pytest.raises(FailedPrecondition, match="acme"):
        await files.check_sources()
    _, changed = await registry.apply(workspace(generation=2, suspended=True))
    assert changed, "the object goes on being in force"
    (folder / "acme.yaml").unlink()
    await files.refresh()
    await files.check_sources()
    assert registry.get("acme").suspended


async def test_without_files_what_files_declared_before_is_removed(
    store: MemoryStore, registry: Registry, folder: Path
) -> None:
    await FileSource(folder, registry).refresh()
    await registry.apply(workspace("beta"))
    later = Registry(store)
    await FileSource(None, later).refresh()
    assert [item.name for item in later.snapshot().workspaces] == ["beta"]


async def test_a_broken_file_changes_nothing_and_is_told(registry: Registry, folder: Path) -> None:
    files = FileSource(folder, registry)
    with pytest.raises(FailedPrecondition, match="not been read"):
        await files.check()
    await files.refresh()
    await files.check()
    write(folder, "acme", nonsense=1)
    await files.refresh()
    with pytest.raises(FailedPrecondition, match="nonsense"):
        await files.check()
    assert registry.get("acme").version == 1


@pytest.mark.parametrize("after", ["glob", "stat"])
async def test_a_file_that_goes_away_while_it_is_looked_at_is_gone(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    files = FileSource(folder, registry)
    await files.refresh()
    beta, look = write(folder, "beta"), getattr(Path, after)

    def then_gone(path: Path, *args: Any, **options: Any) -> Any:
        found = look(path, *args, **options)
        if after == "glob":
            found = list(found)
        if path == (folder if after == "glob" else beta):
            beta.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Path, after, then_gone)
    await files.refresh()
    await files.check()
    assert [item.name for item in registry.snapshot().workspaces] == ["acme"]


async def test_a_folder_that_may_not_be_read_changes_nothing_and_is_told(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = FileSource(folder, registry)
    await files.refresh()

    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refused)
    await files.refresh()
    with pytest.raises(FailedPrecondition, match="Permission denied"):
        await files.check()
    assert registry.get("acme").version == 1
    monkeypatch.undo()
    await files.refresh()
    await files.check()


async def test_files_wait_for_the_store(store: MemoryStore, registry: Registry, folder: Path) -> None:
    files = FileSource(folder, registry)
    store.is_away = True
    with pytest.raises(Unavailable):
        await files.refresh()
    store.is_away = False
    await files.refresh()
    assert registry.get("acme").version == 1
