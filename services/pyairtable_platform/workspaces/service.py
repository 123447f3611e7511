"""The rules of the registry: what changed, and who is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from pyairtable_platform.common.errors import InvalidInput, NotFound, Reason

from .documents import Spec

QUEUED_CHANGES = 100


@dataclass(frozen=True)
class Workspace:
    """A workspace and the number of its present state."""

    name: str
    spec: Spec
    version: int


@dataclass(frozen=True)
class Snapshot:
    """All workspaces there are."""

    workspaces: tuple[Workspace, ...]


@dataclass(frozen=True)
class Applied:
    """A workspace that is new or changed."""

    workspace: Workspace


@dataclass(frozen=True)
class Removed:
    """A workspace that is gone."""

    name: str


Change = Snapshot | Applied | Removed


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
    """The workspaces of this installation. One event loop, so no locks."""

    def __init__(self) -> None:
        self._workspaces: dict[str, Workspace] = {}
        self._watchers: set[Watcher] = set()

    def replace(self, specs: Mapping[str, Spec]) -> None:
        """Make the registry hold exactly these; watchers hear of what differs."""
        for name in sorted(self._workspaces.keys() - specs.keys()):
            del self._workspaces[name]
            self._tell(Removed(name))
        for name, spec in sorted(specs.items()):
            known = self._workspaces.get(name)
            if known is None or known.spec != spec:
                workspace = Workspace(name, spec, known.version + 1 if known else 1)
                self._workspaces[name] = workspace
                self._tell(Applied(workspace))

    def get(self, name: str) -> Workspace:
        """One workspace, suspended ones too."""
        try:
            return self._workspaces[name]
        except KeyError:
            text = f'there is no workspace "{name}"'
            raise NotFound(text, reason=Reason.WORKSPACE_NOT_FOUND, workspace=name) from None

    def page(self, size: int, token: str) -> tuple[list[Workspace], str]:
        """Workspaces by name from `token` (the last name of the page before), and the token of the next page."""
        if token and not token.isprintable():
            raise InvalidInput.at("page_token", "is not one of ours", reason=Reason.PAGE_TOKEN_INVALID)
        names = sorted(name for name in self._workspaces if name > token)
        page = [self._workspaces[name] for name in names[:size]]
        return page, names[size - 1] if len(names) > size else ""

    async def watch(self) -> AsyncIterator[Change]:
        """A snapshot, then every change. A reader that falls behind gets a new snapshot instead of what it missed."""
        watcher = Watcher()
        self._watchers.add(watcher)
        try:
            yield self.snapshot()
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
        return Snapshot(tuple(workspace for _, workspace in sorted(self._workspaces.items())))

    def close(self) -> None:
        """End every watch: this process stops, and its readers go to another one."""
        self._tell(None)

    def _tell(self, change: Change | None) -> None:
        for watcher in self._watchers:
            if watcher.changes.full():
                watcher.drop_queued()
                watcher.overtaken = change is not None
            watcher.changes.put_nowait(change)
