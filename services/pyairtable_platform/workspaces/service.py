"""The rules of the registry: who may declare a workspace, what changed, and who is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from pyairtable_platform.common.errors import FailedPrecondition, NotFound, Reason, Unavailable
from pyairtable_platform.common.workspace import API, CUSTOM_RESOURCE, Workspace

QUEUED_CHANGES = 100

FILE = "File"
"""The kind of a source without a uid."""

Decide = Callable[[Workspace | None], Workspace | None]
"""Given what is in force, what shall be: the same object for no change, None for no workspace. May raise to refuse."""


@dataclass(frozen=True)
class Applied:
    """A workspace that is new or changed."""

    workspace: Workspace

    @property
    def revision(self) -> int:
        return self.workspace.version


@dataclass(frozen=True)
class Removed:
    """A workspace that is gone."""

    name: str
    revision: int


@dataclass(frozen=True)
class Snapshot:
    """All workspaces there are."""

    workspaces: tuple[Workspace, ...]
    revision: int


Change = Snapshot | Applied | Removed


@dataclass(frozen=True)
class Loaded:
    """What changed in the store since a revision, in order. `revision` is that of the last change of all."""

    registry: str
    revision: int
    changes: tuple[Applied | Removed, ...]


class RegistryStore(Protocol):
    """Where the registry lasts. Methods raise Unavailable."""

    async def load(self, after: int) -> Loaded:
        """All changes after a revision; of several to one workspace the last."""

    async def change(self, name: str, decide: Decide) -> tuple[Workspace | None, bool]:
        """Decide about a workspace while nobody else does; what is in force then, and whether that is new."""


@dataclass(eq=False)
class Watcher:
    """Somebody who is told; `overtaken` when they read too slowly and need everything anew."""

    changes: asyncio.Queue[Change | None] = field(default_factory=lambda: asyncio.Queue(QUEUED_CHANGES))
    overtaken: bool = False

    def drop_queued(self) -> None:
        """Forget what was not read."""
        while not self.changes.empty():
            self.changes.get_nowait()


class Registry:
    """This replica's copy of the store, and the way to change it. One event loop, so no locks but one."""

    def __init__(self, store: RegistryStore) -> None:
        self._store = store
        self._workspaces: dict[str, Workspace] | None = None
        self._id = ""
        self._revision = 0
        self._refreshing = asyncio.Lock()
        self._files: Mapping[str, str] = {}
        self._watchers: set[Watcher] = set()

    # Reading

    @property
    def id(self) -> str:
        """Tells this registry from one whose database was made anew."""
        return self._id

    async def check(self) -> None:
        """For readiness: raises until the store was read once."""
        self._known()

    def get(self, name: str) -> Workspace:
        """One workspace, suspended ones too."""
        try:
            return self._known()[name]
        except KeyError:
            text = f'there is no workspace "{name}"'
            raise NotFound(text, reason=Reason.WORKSPACE_NOT_FOUND, workspace=name) from None

    async def watch(self) -> AsyncIterator[Change]:
        """A snapshot, then every change. A reader that falls behind gets a new snapshot instead of what it missed."""
        watcher = Watcher()
        first = self.snapshot()
        self._watchers.add(watcher)
        try:
            yield first
            while (change := await watcher.changes.get()) is not None:
                if watcher.overtaken:
                    watcher.overtaken = False
                    watcher.drop_queued()
                    change = self.snapshot()
                yield change
        finally:
            self._watchers.discard(watcher)

    def snapshot(self) -> Snapshot:
        """Everything, by name."""
        return Snapshot(tuple(workspace for _, workspace in sorted(self._known().items())), self._revision)

    def close(self) -> None:
        """End every watch: this process stops, and its readers go to another one."""
        self._tell(None)

    # Changing

    async def apply(self, wanted: Workspace) -> tuple[Workspace, bool]:
        """Put a custom resource's workspace in force; returns it with its version, and whether anything changed."""

        def decide(current: Workspace | None) -> Workspace | None:
            self._require_no_file(wanted.name, current)
            require_not_called(current)
            require_newer(current, wanted)
            return current if is_same(current, wanted) else wanted

        workspace, changed = await self._change(wanted.name, decide)
        assert workspace is not None, "decide never removes"
        return workspace, changed

    async def remove(self, name: str, uid: str) -> bool:
        """Take a workspace out, if the custom resource `uid` declared it ("" is any); whether it was there."""

        def decide(current: Workspace | None) -> Workspace | None:
            if current is None or (uid and current.source.uid != uid):
                return current
            self._require_no_file(name, current)
            return None

        return (await self._change(name, decide))[1]

    async def declare_files(self, files: Mapping[str, str], wanted: Mapping[str, Workspace]) -> list[str]:
        """Make what files declare be in force, and nothing that they declared once. `files` has the path by name.

        Returns the names that custom resources declare or calls made too: those win over files.
        """
        self._files = dict(files)
        await self.refresh()
        for name in [item.name for item in self._known().values() if item.source.kind == FILE]:
            if name not in wanted:
                await self._change(name, lambda now: None if now and now.source.kind == FILE else now)
        return [name for name, workspace in sorted(wanted.items()) if not await self._apply_file(workspace)]

    async def _apply_file(self, wanted: Workspace) -> bool:
        def decide(current: Workspace | None) -> Workspace | None:
            overruled = current is not None and current.source.kind in (CUSTOM_RESOURCE, API)
            return current if overruled or is_same(current, wanted) else wanted

        in_force, _ = await self._change(wanted.name, decide)
        return in_force is not None and in_force.source.kind == FILE

    async def _change(self, name: str, decide: Decide) -> tuple[Workspace | None, bool]:
        result = await self._store.change(name, decide)
        await self.catch_up()
        return result

    async def catch_up(self) -> None:
        """Take in what was just written, here or by another replica, so that who asked for it finds it."""
        with suppress(Unavailable):  # it is written; this copy follows when the store is back
            await self.refresh()

    def _require_no_file(self, name: str, current: Workspace | None) -> None:
        """Raise when a file declares the workspace and is in force: two sources must not overwrite each other."""
        if name in self._files and (current is None or current.source.kind == FILE):
            raise FailedPrecondition(
                f'workspace "{name}" is declared by the file {self._files[name]}: remove it there first',
                reason=Reason.CONFLICT,
                workspace=name,
            )

    # Following the store

    async def refresh(self) -> None:
        """Take in what changed in the store, and tell the watchers."""
        async with self._refreshing:
            loaded = await self._store.load(self._revision)
            if loaded.registry != self._id or loaded.revision < self._revision:
                self._replace(await self._store.load(0))
                return
            for change in loaded.changes:
                self._take(change)
            self._revision = loaded.revision

    def _replace(self, loaded: Loaded) -> None:
        """Begin anew with all there is."""
        self._id, self._revision = loaded.registry, loaded.revision
        self._workspaces = {item.workspace.name: item.workspace for item in loaded.changes if isinstance(item, Applied)}
        self._tell(self.snapshot())

    def _take(self, change: Applied | Removed) -> None:
        known = self._known()
        self._revision = change.revision
        if isinstance(change, Applied):
            known[change.workspace.name] = change.workspace
        elif known.pop(change.name, None) is None:
            return
        self._tell(change)

    def _tell(self, change: Change | None) -> None:
        for watcher in self._watchers:
            if watcher.changes.full():
                watcher.drop_queued()
                watcher.overtaken = change is not None
            watcher.changes.put_nowait(change)

    def _known(self) -> dict[str, Workspace]:
        if self._workspaces is None:
            raise Unavailable(
                "the registry of workspaces has not been read yet: is PostgreSQL up?",
                reason=Reason.DEPENDENCY_UNAVAILABLE,
                dependency="postgres",
            )
        return self._workspaces


def require_not_called(current: Workspace | None) -> None:
    """Raise when a call made the workspace without an object: one must not take the other's place by its name."""
    if current is not None and current.source.kind == API:
        raise FailedPrecondition(
            f'workspace "{current.name}" was made by a call: delete it there first, or choose another name',
            reason=Reason.CONFLICT,
            workspace=current.name,
        )


def require_newer(current: Workspace | None, wanted: Workspace) -> None:
    """Raise when a later generation of the same object is in force: somebody who lies behind must not undo it."""
    if current is None or current.source.kind != wanted.source.kind or current.source.uid != wanted.source.uid:
        return
    if wanted.source.generation < current.source.generation:
        raise FailedPrecondition(
            f'workspace "{wanted.name}" is in force with generation {current.source.generation} of the same object, '
            f"which is later than {wanted.source.generation}: read the object again",
            reason=Reason.CONFLICT,
            workspace=wanted.name,
        )


def is_same(current: Workspace | None, wanted: Workspace) -> bool:
    """True when the same is declared: neither version nor members are, nor who made it."""
    return current is not None and replace(current, version=0, members=(), made_by_call=False) == replace(
        wanted, version=0, members=(), made_by_call=False
    )
