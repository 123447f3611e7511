"""Who may use a workspace: the members, their roles, and how they go."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import text

from pyairtable_platform.common import events
from pyairtable_platform.common.errors import NotFound, Reason
from pyairtable_platform.common.workspace import Member, Workspace
from pyairtable_platform.workspaces.service import Registry
from pyairtable_platform.workspaces.store import WorkspaceStore
from pyairtable_platform.workspaces.writing import Writing, read_workspace

from .accounts import Accounts
from .rules import (
    Actor,
    declared_addresses,
    member_of,
    require_above,
    require_not_declared,
    require_owner_stays,
    resolved,
    role_now,
)

_SET_ROLE = text("UPDATE members SET role = :role WHERE workspace = :workspace AND user_id = :user_id")
_REMOVE = text("DELETE FROM members WHERE workspace = :workspace AND user_id = :user_id")
# Those that the person could not make any more.
_REVOKE_INVITATIONS = text(
    "UPDATE invitations SET state = 'revoked', letter_due_at = NULL "
    "WHERE workspace = :workspace AND invited_by = :user_id AND state = 'pending' AND NOT (role = ANY(:still)) "
    "RETURNING invitation_id, email"
)
_MAY_INVITE = {"owner": ["owner", "admin", "editor", "viewer"], "admin": ["admin", "editor", "viewer"]}


class Members:
    """The members of workspaces."""

    def __init__(self, store: WorkspaceStore, registry: Registry, accounts: Accounts) -> None:
        self._store = store
        self._registry = registry
        self._accounts = accounts

    async def of(self, name: str) -> tuple[Member, ...]:
        """All of a workspace, owners of the declaration too, by role and address."""
        async with self._store.transaction(name) as connection:
            workspace = await read_workspace(connection, name)
        if workspace is None:
            raise unknown(name)
        return resolved(workspace.members, await self._declared(workspace))

    async def change_role(self, name: str, user_id: str, role: str, actor: Actor) -> Member:
        """Give a member another role."""
        accounts = await self._accounts_of(name)
        async with self._store.writing(name) as writing:
            workspace = await writing.existing(name)
            members, member = _look(workspace, accounts, user_id)
            own_role = role_now(actor, members, name)
            require_above(own_role, member.role, f"to change {member.email}")
            require_above(own_role, role, "to give it")
            require_not_declared(member, workspace)
            if role == member.role:
                return member
            require_owner_stays(members, member, name)
            changed = replace(member, role=role)
            await writing.connection.execute(_SET_ROLE, {"workspace": name, "user_id": user_id, "role": role})
            await self._told(writing, workspace, "member_role_changed", user_id, actor, before=member.role, role=role)
            await _revoke_invitations(writing, workspace, user_id, role, actor.principal)
        await self._registry.catch_up()
        return changed

    async def remove(self, name: str, user_id: str, actor: Actor) -> None:
        """Take a member out."""
        accounts = await self._accounts_of(name)
        async with self._store.writing(name) as writing:
            workspace = await writing.existing(name)
            members, member = _look(workspace, accounts, user_id)
            require_above(role_now(actor, members, name), member.role, f"to remove {member.email}")
            await self._take_out(writing, workspace, members, member, actor)
        await self._registry.catch_up()

    async def leave(self, name: str, actor: Actor) -> None:
        """Take the caller out. Who is no member hears that there is no such workspace."""
        try:
            accounts = await self._accounts_of(name)
            async with self._store.writing(name) as writing:
                workspace = await writing.existing(name)
                members, member = _look(workspace, accounts, actor.user_id)
                await self._take_out(writing, workspace, members, member, actor)
        except NotFound:
            raise unknown(name) from None
        await self._registry.catch_up()

    async def _take_out(
        self, writing: Writing, workspace: Workspace, members: tuple[Member, ...], member: Member, actor: Actor
    ) -> None:
        require_not_declared(member, workspace)
        require_owner_stays(members, member, workspace.name)
        await take_out(writing, workspace, member.user_id, actor.principal)
        facts = {"role": member.role, "joined_at": member.joined_at.isoformat() if member.joined_at else ""}
        await self._told(writing, workspace, "member_removed", member.user_id, actor, **facts)

    async def _told(
        self, writing: Writing, workspace: Workspace, what: str, user_id: str, actor: Actor, **data: str
    ) -> None:
        await writing.members_changed(workspace.name)
        facts = {"tenant": workspace.tenant, **data}
        event = events.Event(f"workspace.{what}.v1", user_id, workspace.name, actor.principal, facts)
        await events.record(writing.connection, event)

    async def _accounts_of(self, name: str) -> dict[str, str]:
        """Accounts of the owners of the declaration. They are asked for before the lock is taken, which others need."""
        async with self._store.transaction(name) as connection:
            workspace = await read_workspace(connection, name)
        if workspace is None:
            raise unknown(name)
        return await self._declared(workspace)

    async def _declared(self, workspace: Workspace) -> dict[str, str]:
        addresses = declared_addresses(workspace)
        found = await self._accounts.of_addresses(addresses) if addresses else []
        return {account.email.lower(): account.user_id for account in found}


async def take_out(writing: Writing, workspace: Workspace, user_id: str, principal: str) -> None:
    """Delete a membership, and the invitations that count by it."""
    await writing.connection.execute(_REMOVE, {"workspace": workspace.name, "user_id": user_id})
    await _revoke_invitations(writing, workspace, user_id, "", principal)


async def _revoke_invitations(writing: Writing, workspace: Workspace, user_id: str, role: str, principal: str) -> None:
    """An invitation counts as long as who made it could make it still: nobody comes back by one of their own."""
    values = {"workspace": workspace.name, "user_id": user_id, "still": _MAY_INVITE.get(role, [])}
    for row in (await writing.connection.execute(_REVOKE_INVITATIONS, values)).all():
        facts = {"tenant": workspace.tenant}
        kind = "workspace.invitation_revoked.v1"
        await events.record(writing.connection, events.Event(kind, row.invitation_id, workspace.name, principal, facts))


def _look(workspace: Workspace, accounts: dict[str, str], user_id: str) -> tuple[tuple[Member, ...], Member]:
    members = resolved(workspace.members, accounts)
    return members, member_of(members, user_id, workspace.name)


def unknown(name: str) -> NotFound:
    """The error for a workspace that is not there, or that the caller may not know of."""
    return NotFound(f'there is no workspace "{name}"', reason=Reason.WORKSPACE_NOT_FOUND, workspace=name)
