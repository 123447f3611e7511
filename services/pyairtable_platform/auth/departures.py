"""What becomes of keys when their person leaves: API keys end for good; access keys are the workspace's, and stay.

Whoever manages the workspace is told of each access key that goes on without its maker (its audit log:
access_key.outlives_maker), to keep or to revoke it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.common import effects, events
from pyairtable_platform.common.database import EVERY_WORKSPACE, enter_workspace, transaction
from pyairtable_platform.common.events import Event

from .accounts.audit import Decision, record
from .accounts.records import principal_of
from .api_key_store import session_of
from .revocations import session_ended

GROUP = "auth-departures"
REMOVED = "workspace.member_removed.v1"
NOBODY = "user:erased"

# Of the membership that ended: the person may have come back since, and made others.
_REVOKE = text(
    "UPDATE api_keys SET revoked_at = now() WHERE user_id = :user_id AND workspace = :workspace "
    "AND revoked_at IS NULL "
    "AND (member_since IS NULL OR member_since = CAST(CAST(:joined_at AS text) AS timestamptz)) RETURNING key_id"
)
_MADE = text(
    "SELECT key_id, workspace, name, role FROM access_keys WHERE made_by = :maker "
    "AND (:workspace = '' OR workspace = :workspace) AND revoked_at IS NULL "
    "AND (expires_at IS NULL OR expires_at > now()) ORDER BY key_id"
)
_MADE_BY_NOBODY = text("UPDATE access_keys SET made_by = :nobody WHERE made_by = :maker")


class Departures:
    """Hears who was taken out of a workspace, or left it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def handle(self, event: Event) -> None:
        """End what the person had there, once for an event."""
        if event.type != REMOVED:
            return
        # A person's keys are found by the person.
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            key = f"event:{event.event_id}"
            await effects.once(connection, key, event.event_id.encode(), lambda: _left(connection, event))


async def _left(connection: AsyncConnection, event: Event) -> effects.Answer:
    values = {"user_id": event.subject, "workspace": event.workspace, "joined_at": event.data.get("joined_at") or None}
    revoked = sorted(row.key_id for row in await connection.execute(_REVOKE, values))
    await session_ended(connection, *map(session_of, revoked))
    left = await tell_of_access_keys(connection, event.subject, event.workspace)
    if revoked or left:
        details = {"revoked_api_keys": revoked, "access_keys": left}
        decision = Decision("member_removed", user_id=event.subject, workspace=event.workspace, details=details)
        await record(connection, decision)
    return {}


async def tell_of_access_keys(connection: AsyncConnection, user_id: str, workspace: str = "") -> list[str]:
    """Tell workspaces of the access keys that go on without who made them; their ids. Empty: of all workspaces."""
    await enter_workspace(connection, EVERY_WORKSPACE)
    found = await connection.execute(_MADE, {"maker": principal_of(user_id), "workspace": workspace})
    rows: list[Any] = list(found)
    for row in rows:
        # No word of the person: what went out cannot be erased. ListAccessKeys tells who it was.
        data = {"name": row.name, "role": row.role}
        await events.record(connection, Event("access_key.outlives_maker.v1", row.key_id, row.workspace, data=data))
    return [row.key_id for row in rows]


async def forget_maker(connection: AsyncConnection, user_id: str) -> None:
    """In the transaction that erases an account: the access keys that it made are nobody's."""
    await enter_workspace(connection, EVERY_WORKSPACE)
    await connection.execute(_MADE_BY_NOBODY, {"maker": principal_of(user_id), "nobody": NOBODY})
