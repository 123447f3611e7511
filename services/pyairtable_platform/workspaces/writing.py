"""Changes of the registry and of what hangs on it, one at a time.

Whoever writes holds the one row of `registry`. So a rule that is checked here (the last owner, an invitation that
counts once, a limit) still holds when the change is committed, however many replicas are asked at once, and every
change of members steps the registry's revision, by which it travels on the stream.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.common import events
from pyairtable_platform.common.errors import FailedPrecondition, NotFound, Reason
from pyairtable_platform.common.workspace import API, CUSTOM_RESOURCE, BaseBinding, Workspace

from .content import from_row, to_json

NOTIFY_CHANNEL = "workspaces_changed"

_LOCK = text("SELECT revision FROM registry FOR UPDATE")
MEMBERS = (
    "(SELECT json_agg(json_build_object('user_id', user_id, 'email', email, 'role', role, 'joined_at', joined_at, "
    "'invited_by', invited_by) ORDER BY joined_at, user_id) "
    "FROM members WHERE members.workspace = workspaces.name) AS members"
)
MADE_BY_CALL = (
    "EXISTS (SELECT 1 FROM reservations WHERE reservations.workspace = workspaces.name "  # noqa: S608 - constants
    "AND (content::json #>> '{source,kind}', content::json #>> '{source,uid}') "
    f"IN (('{API}', uid), ('{CUSTOM_RESOURCE}', object_uid))) AS made_by_call"
)
_READ = text(f"SELECT content, revision, {MEMBERS}, {MADE_BY_CALL} FROM workspaces WHERE name = :name")  # noqa: S608 - constants
_STEP = text("UPDATE registry SET revision = revision + 1 RETURNING revision")
_WRITE = text(
    "INSERT INTO workspaces (name, revision, content) VALUES (:name, :revision, :content) "
    "ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, content = excluded.content, changed_at = now()"
)
_TOUCH = text("UPDATE workspaces SET revision = :revision, changed_at = now() WHERE name = :name")
_NOTIFY = text("SELECT pg_notify(:channel, '')")
_RESERVATION = (
    "SELECT workspace, uid, display_name, owner_user_id, step_key, object_uid, is_ended, made_at "
    "FROM reservations WHERE workspace = :name "
)
_FORGET = (
    text("DELETE FROM invitations WHERE workspace = :name"),
    text("DELETE FROM members WHERE workspace = :name"),
    text("DELETE FROM reservations WHERE workspace = :name"),
)


@dataclass(frozen=True)
class Reservation:
    """A name that a call took, for as long as its workspace is there. `object_uid`: of its object in a cluster."""

    workspace: str
    uid: str
    display_name: str
    owner_user_id: str
    step_key: str
    object_uid: str | None
    is_ended: bool
    made_at: datetime

    def stands_for(self, workspace: Workspace) -> bool:
        """Whether this is what the call made, and not something else of that name."""
        source = workspace.source
        return bool(source.uid) and source.uid == {API: self.uid, CUSTOM_RESOURCE: self.object_uid}.get(source.kind)


class Writing:
    """A transaction that holds the writers' lock; made by `begin`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    @classmethod
    async def begin(cls, connection: AsyncConnection) -> Writing:
        """Wait for the writers before, on an open transaction."""
        await connection.execute(_LOCK)
        return cls(connection)

    async def current(self, name: str) -> Workspace | None:
        """What is in force, with its members."""
        return await read_workspace(self.connection, name)

    async def existing(self, name: str) -> Workspace:
        """As `current`; raises NotFound."""
        workspace = await self.current(name)
        if workspace is None:
            raise NotFound(f'there is no workspace "{name}"', reason=Reason.WORKSPACE_NOT_FOUND, workspace=name)
        return workspace

    async def reservation(self, name: str) -> Reservation | None:
        """Who took this name by a call, if somebody did. Waits for a step that has just told the cluster of it."""
        return await read_reservation(self.connection, name, "FOR SHARE")

    async def put(self, name: str, current: Workspace | None, wanted: Workspace | None, principal: str = "") -> None:
        """Put a workspace in force, or take it out (None): what belonged to the one before goes with it."""
        reservation = await self.reservation(name)
        is_new = wanted is not None and (current is None or current.tenant != wanted.tenant)
        if wanted is not None and is_new and current is None:
            _require_free(reservation, wanted)
        if current is not None and (wanted is None or is_new):
            await self.forget(name)
        content = None if wanted is None else to_json(wanted)
        await self.connection.execute(_WRITE, {"name": name, "revision": await self._step(), "content": content})
        if not principal and reservation is not None and is_new:
            principal = f"user:{reservation.owner_user_id}"
        for event in happened(name, current, wanted, principal):
            await events.record(self.connection, event)

    async def members_changed(self, name: str) -> None:
        """Let a change of members travel on the stream."""
        await self.connection.execute(_TOUCH, {"name": name, "revision": await self._step()})

    async def forget(self, name: str) -> None:
        """Delete what belongs to a workspace that has ended; its audit log stays."""
        for statement in _FORGET:
            await self.connection.execute(statement, {"name": name})

    async def _step(self) -> int:
        await self.connection.execute(_NOTIFY, {"channel": NOTIFY_CHANNEL})
        return int((await self.connection.execute(_STEP)).scalar_one())


async def read_workspace(connection: AsyncConnection, name: str) -> Workspace | None:
    """What is in force, with its members."""
    row = (await connection.execute(_READ, {"name": name})).first()
    return from_row(row) if row is not None and row.content is not None else None


async def read_reservation(connection: AsyncConnection, name: str, lock: str = "") -> Reservation | None:
    """Who took this name by a call, if somebody did. `lock`: FOR SHARE or FOR UPDATE."""
    row = (await connection.execute(text(_RESERVATION + lock), {"name": name})).first()
    return None if row is None else Reservation(**row._mapping)


def _require_free(reservation: Reservation | None, wanted: Workspace) -> None:
    """Raise when a call has taken the name for another workspace, which is not in force yet."""
    if reservation is None or reservation.stands_for(wanted):
        return
    raise FailedPrecondition(
        f'the name "{wanted.name}" is taken by a workspace that a call is making: choose another, or try again later',
        reason=Reason.CONFLICT,
        workspace=wanted.name,
    )


def happened(name: str, current: Workspace | None, wanted: Workspace | None, principal: str) -> list[events.Event]:
    """The events that tell of a change."""

    def event(kind: str, subject: str, tenant: str, **data: Any) -> events.Event:
        return events.Event(kind, subject, name, principal, {"tenant": tenant, **data})

    if wanted is None:
        return [event("workspace.deleted.v1", name, current.tenant)] if current is not None else []
    told = []
    if current is None or current.tenant != wanted.tenant:
        told.append(event("workspace.created.v1", name, wanted.tenant, source=wanted.source.kind))
        current = None
    elif fields := changed_fields(current, wanted):
        told.append(event("workspace.updated.v1", name, wanted.tenant, fields=fields))
    before = {base.base_id: base for base in current.bases} if current is not None else {}
    after = {base.base_id: base for base in wanted.bases}
    for base_id in before.keys() - after.keys():
        told.append(event("binding.disconnected.v1", before[base_id].name, wanted.tenant, base_id=base_id))
    for base_id, base in after.items():
        if not _binds_the_same(before.get(base_id), base):
            told.append(event("binding.connected.v1", base.name, wanted.tenant, base_id=base_id, access=base.access))
    return told


def _binds_the_same(before: BaseBinding | None, after: BaseBinding) -> bool:
    return before is not None and replace(before, is_default=after.is_default) == after


def changed_fields(current: Workspace, wanted: Workspace) -> list[str]:
    """Which fields of the contract differ; bases tell of themselves."""
    names = ("display_name", "suspended", "owners", "airtable_secret", "monthly_call_budget", "llm")
    return [name for name in names if getattr(current, name) != getattr(wanted, name)]
