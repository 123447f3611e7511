"""PostgreSQL: the workspaces, and the order in which they changed (schema workspaces).

Writers take turns (they lock the one row of `registry`), so that revisions become visible in their order: whoever has
read up to a revision has missed none before it. A workspace's version is the revision of its last change, which
therefore grows over removal and re-creation too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.database import EVERY_WORKSPACE, transaction
from pyairtable_platform.common.workspace import Workspace, declared_members

from .service import Applied, Decide, Loaded, Removed

SCHEMA = "workspaces"
NOTIFY_CHANNEL = "workspaces_changed"

_JSON = TypeAdapter(Workspace)

_LOAD = text(
    "SELECT registry.id, registry.revision AS latest, changed.name, changed.revision, changed.content "
    "FROM registry LEFT JOIN workspaces changed ON changed.revision > :after ORDER BY changed.revision"
)
_LOCK = text("SELECT revision FROM registry FOR UPDATE")
_READ = text("SELECT content, revision FROM workspaces WHERE name = :name")
_STEP = text("UPDATE registry SET revision = revision + 1 RETURNING revision")
_WRITE = text(
    "INSERT INTO workspaces (name, revision, content) VALUES (:name, :revision, :content) "
    "ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, content = excluded.content, changed_at = now()"
)
_NOTIFY = text("SELECT pg_notify(:channel, '')")


class WorkspaceStore:
    """RegistryStore in PostgreSQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def load(self, after: int) -> Loaded:
        # The registry is the list of all workspaces.
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            rows = (await connection.execute(_LOAD, {"after": after})).all()
        changes = tuple(_change(row) for row in rows if row.name is not None)
        return Loaded(rows[0].id, rows[0].latest, changes)

    async def change(self, name: str, decide: Decide) -> tuple[Workspace | None, bool]:
        async with transaction(self._engine, name) as connection:
            await connection.execute(_LOCK)
            row = (await connection.execute(_READ, {"name": name})).first()
            current = from_json(row.content, row.revision) if row is not None and row.content is not None else None
            wanted = decide(current)
            if wanted is current:
                return current, False
            revision = int((await connection.execute(_STEP)).scalar_one())
            content = None if wanted is None else to_json(wanted)
            await connection.execute(_WRITE, {"name": name, "revision": revision, "content": content})
            await connection.execute(_NOTIFY, {"channel": NOTIFY_CHANNEL})
        return (None if content is None else from_json(content, revision)), True


def to_json(workspace: Workspace) -> str:
    """What is stored of a workspace."""
    return _JSON.dump_json(workspace, exclude={"version", "members"}).decode()


def from_json(content: str, revision: int) -> Workspace:
    """A stored workspace. Keys that a later version wrote are passed over."""
    value: dict[str, Any] = {**_parsed(content), "version": revision}
    workspace = _JSON.validate_python(value)
    return replace(workspace, members=declared_members(workspace.owners))


def _parsed(content: str) -> dict[str, Any]:
    value: dict[str, Any] = _OBJECT.validate_json(content)
    return value


_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def _change(row: Any) -> Applied | Removed:
    if row.content is None:
        return Removed(row.name, row.revision)
    return Applied(from_json(row.content, row.revision))
