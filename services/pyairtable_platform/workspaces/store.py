"""PostgreSQL: the workspaces, and the order in which they changed (schema workspaces).

Writers take turns (they lock the one row of `registry`, writing.py), so that revisions become visible in their order:
whoever has read up to a revision has missed none before it. A workspace's version is the revision of its last change,
which therefore grows over removal and re-creation too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.common.database import EVERY_WORKSPACE, transaction
from pyairtable_platform.common.workspace import Workspace

from .content import from_json, from_row, to_json
from .service import Applied, Decide, Loaded, Removed
from .writing import MADE_BY_CALL, MEMBERS, NOTIFY_CHANNEL, Writing

__all__ = ["NOTIFY_CHANNEL", "SCHEMA", "WorkspaceStore", "from_json", "to_json"]

SCHEMA = "workspaces"

# One statement: members must not be newer than the revision that tells of them.
_LOAD = text(
    "SELECT registry.id, registry.revision AS latest, workspaces.name, workspaces.revision, workspaces.content, "  # noqa: S608 - constants
    f"{MEMBERS}, {MADE_BY_CALL} "
    "FROM registry LEFT JOIN workspaces ON workspaces.revision > :after ORDER BY workspaces.revision"
)


class WorkspaceStore:
    """RegistryStore in PostgreSQL, and the transactions of what hangs on the registry."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def load(self, after: int) -> Loaded:
        # The registry is the list of all workspaces.
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            rows = (await connection.execute(_LOAD, {"after": after})).all()
        changes = tuple(_change(row) for row in rows if row.name is not None)
        return Loaded(rows[0].id, rows[0].latest, changes)

    async def change(self, name: str, decide: Decide) -> tuple[Workspace | None, bool]:
        async with self.writing(name) as writing:
            current = await writing.current(name)
            wanted = decide(current)
            if wanted is current:
                return current, False
            await writing.put(name, current, wanted)
            return await writing.current(name), True

    @asynccontextmanager
    async def writing(self, workspace: str) -> AsyncIterator[Writing]:
        """A transaction that holds the writers' lock, about one workspace or EVERY_WORKSPACE."""
        async with transaction(self._engine, workspace) as connection:
            yield await Writing.begin(connection)

    @asynccontextmanager
    async def transaction(self, workspace: str) -> AsyncIterator[AsyncConnection]:
        """A transaction without the lock, about one workspace or EVERY_WORKSPACE."""
        async with transaction(self._engine, workspace) as connection:
            yield connection


def _change(row: Any) -> Applied | Removed:
    return Removed(row.name, row.revision) if row.content is None else Applied(from_row(row))
