"""What is kept about one person: their sessions, in whatever workspaces."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.common import effects
from pyairtable_platform.common.database import EVERY_WORKSPACE, transaction
from pyairtable_platform.common.workspace import name_of

from .sessions import tell_workers
from .tables import messages, runs, sessions

_KINDS = {"sessions": sessions, "messages": messages, "runs": runs}


class PeopleStore:
    """Finds and deletes a person's chats. Raises Unavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def export(self, user_id: str) -> list[dict[str, Any]]:
        """Their sessions with all messages, the oldest first, as JSON."""
        # A person is in several workspaces, here and below.
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            mine = sa.select(sessions).where(sessions.c.owner == user_id).order_by(sessions.c.created_at, sessions.c.id)
            found = {(row.workspace, row.id): _session(row) for row in await connection.execute(mine)}
            said = sa.select(messages).where(messages.c.owner == user_id).order_by(messages.c.position)
            for row in await connection.execute(said):
                found[row.workspace, row.session_id]["messages"].append(_message(row))
        return list(found.values())

    async def count(self, user_id: str) -> dict[str, int]:
        """How many things of which kind there are."""
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            return await _count(connection, user_id)

    async def erase(self, user_id: str, key: str, request: bytes) -> dict[str, int]:
        """Delete all of it, once for a key; how many things of which kind. Runs in progress stop."""
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:

            async def erase() -> dict[str, Any]:
                counts = await _count(connection, user_id)
                await tell_workers(connection, runs.c.owner == user_id)
                await connection.execute(sa.delete(sessions).where(sessions.c.owner == user_id))
                return counts

            return await effects.once(connection, key, request, erase)


async def _count(connection: AsyncConnection, user_id: str) -> dict[str, int]:
    counts = {}
    for kind, table in _KINDS.items():
        query = sa.select(sa.func.count()).select_from(table).where(table.c.owner == user_id)
        counts[kind] = int((await connection.execute(query)).scalar_one())
    return counts


def _session(row: Any) -> dict[str, Any]:
    return {
        "workspace": name_of(row.workspace),
        "id": row.id,
        "title": row.title,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
        "messages": [],
    }


def _message(row: Any) -> dict[str, Any]:
    return {
        "role": row.role,
        "content": row.content,
        "created_at": row.created_at.isoformat(),
        "tools_used": list(row.tools_used),
    }
