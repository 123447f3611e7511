"""Invitations as rows of the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

MOST_LISTED = 500

DISPLAY_NAME = "coalesce((SELECT content::json ->> 'display_name' FROM workspaces WHERE name = workspace), workspace)"
_COLUMNS = (
    "SELECT invitations.invitation_id, invitations.workspace, "  # noqa: S608 - constants
    f"{DISPLAY_NAME} AS display_name, "
    "email, role, CASE WHEN state = 'pending' AND expires_at <= now() THEN 'expired' ELSE state END AS state, "
    "invited_by, created_at, expires_at FROM invitations "
)
_OPEN = "state = 'pending' AND expires_at > now()"
_NEWEST = f"ORDER BY created_at DESC, invitation_id LIMIT {MOST_LISTED}"

_BY_ID = text(f"{_COLUMNS} WHERE invitation_id = :invitation_id")
_BY_TOKEN = text(f"{_COLUMNS} JOIN invitation_tokens USING (invitation_id) WHERE hash = :token")
_PENDING = text(f"{_COLUMNS} WHERE workspace = :workspace AND lower(email) = lower(:email) AND state = 'pending'")
_OF_ADDRESS = text(f"{_COLUMNS} WHERE lower(email) = lower(:email) AND {_OPEN} {_NEWEST}")
_OF_WORKSPACE = text(f"{_COLUMNS} WHERE workspace = :workspace {_NEWEST}")
_OPEN_OF_WORKSPACE = text(f"{_COLUMNS} WHERE workspace = :workspace AND {_OPEN} {_NEWEST}")


@dataclass(frozen=True)
class Invitation:
    """Who is asked to join. `state` is pending, accepted, declined, revoked or expired."""

    invitation_id: str
    workspace: str
    display_name: str
    email: str
    role: str
    state: str
    invited_by: str
    created_at: datetime
    expires_at: datetime

    @property
    def can_be_accepted(self) -> bool:
        return self.state == "pending"


async def find(connection: AsyncConnection, *, invitation_id: str = "", token: bytes = b"") -> Invitation | None:
    """An invitation by id, or by the hash of a token in its letter."""
    if token:
        found = await _all(connection, _BY_TOKEN, token=token)
    else:
        found = await _all(connection, _BY_ID, invitation_id=invitation_id)
    return next(iter(found), None)


async def read(connection: AsyncConnection, invitation_id: str) -> Invitation:
    """An invitation that is there."""
    return (await _all(connection, _BY_ID, invitation_id=invitation_id))[0]


async def find_pending_of_address(connection: AsyncConnection, workspace: str, email: str) -> Invitation | None:
    """The one of an address that has not ended, expired or not."""
    return next(iter(await _all(connection, _PENDING, workspace=workspace, email=email)), None)


async def list_of_address(connection: AsyncConnection, email: str) -> list[Invitation]:
    """Those that an address can accept, newest first."""
    return await _all(connection, _OF_ADDRESS, email=email)


async def list_of_workspace(connection: AsyncConnection, workspace: str, with_ended: bool) -> list[Invitation]:
    """Those of a workspace, newest first."""
    return await _all(connection, _OF_WORKSPACE if with_ended else _OPEN_OF_WORKSPACE, workspace=workspace)


async def _all(connection: AsyncConnection, statement: TextClause, **values: Any) -> list[Invitation]:
    return [Invitation(**row._mapping) for row in await connection.execute(statement, values)]
