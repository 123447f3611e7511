"""Invitations: made, listed, accepted once, refused, taken back, expired by time."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.common import events
from pyairtable_platform.common.database import EVERY_WORKSPACE, enter_workspace
from pyairtable_platform.common.errors import (
    DeadlineExceeded,
    Denied,
    FailedPrecondition,
    InvalidInput,
    NotFound,
    QuotaExhausted,
    RateLimited,
    Reason,
    Unavailable,
)
from pyairtable_platform.common.roles import rank_of
from pyairtable_platform.common.workspace import Member, Workspace
from pyairtable_platform.workspaces.service import Registry
from pyairtable_platform.workspaces.store import WorkspaceStore
from pyairtable_platform.workspaces.writing import Writing

from .accounts import Account, Accounts, account_of
from .invitation_rows import Invitation, find, find_pending_of_address, list_of_address, list_of_workspace, read
from .rules import Actor, address, can_invite, require_above, resolved, role_in, same_address
from .tokens import hash_of

COUNTS_FOR = timedelta(days=7)
_AN_HOUR = timedelta(hours=1)

_INSERT = text(
    "INSERT INTO invitations (invitation_id, workspace, email, role, invited_by, expires_at, letter_due_at) "
    "VALUES (:invitation_id, :workspace, :email, :role, :invited_by, now() + CAST(:counts_for AS interval), now())"
)
_END = text(
    "UPDATE invitations SET state = :state, accepted_by = :accepted_by, letter_due_at = NULL "
    "WHERE invitation_id = :invitation_id AND state = 'pending' AND expires_at > now() RETURNING 1"
)
_REPLACE = text("UPDATE invitations SET state = 'revoked', letter_due_at = NULL WHERE invitation_id = :invitation_id")
_RECENT = text(
    "SELECT created_at, now() AS now FROM invitations "
    "WHERE workspace = :workspace AND created_at > now() - CAST(:hour AS interval) "
    "ORDER BY created_at DESC OFFSET :others LIMIT 1"
)
_JOIN = text(
    "INSERT INTO members (workspace, user_id, email, role, invited_by) "
    "VALUES (:workspace, :user_id, :email, :role, :invited_by) "
    "ON CONFLICT (workspace, user_id) DO UPDATE SET role = excluded.role"
)


@dataclass(frozen=True)
class Limits:
    """How many there may be."""

    invitations_an_hour: int
    members: int


class Invitations:
    """The invitations of workspaces. `hint` is called when a letter waits to be sent."""

    def __init__(
        self,
        store: WorkspaceStore,
        registry: Registry,
        accounts: Accounts,
        limits: Limits,
        hint: Callable[[], None],
    ) -> None:
        self._store = store
        self._registry = registry
        self._accounts = accounts
        self._limits = limits
        self._hint = hint

    # For those who manage a workspace

    async def create(self, name: str, email: str, role: str, actor: Actor) -> Invitation:
        """Invite an address; the letter follows, also when the auth service is away just now."""
        if not actor.user_id:
            raise Denied("an invitation is a person's: an access key or a service cannot invite anybody")
        email = address(email)
        known = await self._known(email)
        async with self._store.writing(name) as writing:
            workspace = await writing.existing(name)
            require_above(role_in(actor, workspace), role, "to give it")
            _require_no_member(workspace, email, known)
            self._require_room(workspace)
            await self._require_rate(writing, name)
            await self._replace(writing, workspace, email, actor)
            invitation_id = uuid.uuid4().hex
            await writing.connection.execute(
                _INSERT,
                {
                    "invitation_id": invitation_id,
                    "workspace": name,
                    "email": email,
                    "role": role,
                    "invited_by": actor.user_id,
                    "counts_for": COUNTS_FOR,
                },
            )
            await _record(writing, workspace, "created", invitation_id, actor.principal, role=role)
            made = await read(writing.connection, invitation_id)
        self._hint()
        return made

    async def of_workspace(self, name: str, with_ended: bool) -> list[Invitation]:
        """Those of a workspace, newest first."""
        async with self._store.transaction(name) as connection:
            return await list_of_workspace(connection, name, with_ended)

    async def revoke(self, name: str, invitation_id: str, actor: Actor) -> Invitation:
        """Take one back."""
        async with self._store.writing(name) as writing:
            workspace = await writing.existing(name)
            found = await find(writing.connection, invitation_id=invitation_id)
            if found is None or found.workspace != name:
                raise not_found()
            require_above(role_in(actor, workspace), found.role, "to take this invitation back")
            await _end(writing, found, "revoked")
            await _record(writing, workspace, "revoked", invitation_id, actor.principal)
            return await read(writing.connection, invitation_id)

    # For those who were invited

    async def of_person(self, actor: Actor) -> list[Invitation]:
        """Those that wait for the caller's address."""
        account = await account_of(self._accounts, actor.user_id)
        # An address is invited by workspaces that its owner is not in.
        async with self._store.transaction(EVERY_WORKSPACE) as connection:
            return await list_of_address(connection, account.email)

    async def accept(self, token: str, invitation_id: str, actor: Actor) -> tuple[str, str]:
        """Make the caller a member; the workspace and the role there."""
        account = await account_of(self._accounts, actor.user_id)
        inviters = await self._inviters(token, invitation_id, account)
        async with self._store.writing(EVERY_WORKSPACE) as writing:  # as above, until it is known which
            found = await _meant(writing.connection, token, invitation_id, account)
            await enter_workspace(writing.connection, found.workspace)
            workspace = await writing.existing(found.workspace)
            if not can_invite(found.invited_by, found.role, resolved(workspace.members, inviters)):
                raise not_found()
            before = next((item for item in workspace.members if item.user_id == account.user_id), None)
            if before is None:
                self._require_room(workspace)
            role = found.role if before is None or rank_of(found.role) > rank_of(before.role) else before.role
            await _end(writing, found, "accepted", account.user_id)
            await _join(writing, workspace, account, role, found.invited_by, before)
            await _record(writing, workspace, "accepted", found.invitation_id, actor.principal)
        await self._registry.catch_up()
        return found.workspace, role

    async def decline(self, token: str, invitation_id: str, actor: Actor) -> None:
        """Refuse one."""
        account = await account_of(self._accounts, actor.user_id)
        async with self._store.writing(EVERY_WORKSPACE) as writing:  # as above
            found = await _meant(writing.connection, token, invitation_id, account)
            await enter_workspace(writing.connection, found.workspace)
            await _end(writing, found, "declined")
            workspace = await writing.existing(found.workspace)
            await _record(writing, workspace, "declined", found.invitation_id, actor.principal)

    # Rules that need more than the values

    async def _known(self, email: str) -> set[str]:
        """Ids of the accounts of an address, to tell at once that a member is a member. While the auth service is away
        nobody is known: whoever is in already then gains nothing by accepting."""
        try:
            return {account.user_id for account in await self._accounts.of_addresses([email])}
        except (Unavailable, DeadlineExceeded):
            return set()

    async def _inviters(self, token: str, invitation_id: str, account: Account) -> dict[str, str]:
        """The id of who made the invitation, by address: an owner of a declaration is known by that only. Asked for
        before the lock is taken, which others need."""
        async with self._store.transaction(EVERY_WORKSPACE) as connection:  # as in `accept`
            found = await _meant(connection, token, invitation_id, account)
        accounts = await self._accounts.of_ids([found.invited_by])
        return {inviter.email.lower(): inviter.user_id for inviter in accounts}

    def _require_room(self, workspace: Workspace) -> None:
        if len(workspace.members) >= self._limits.members:
            raise QuotaExhausted(
                f'workspace "{workspace.name}" has {len(workspace.members)} members, as many as it may: '
                "remove one first, or raise MEMBERS_PER_WORKSPACE",
                workspace=workspace.name,
            )

    async def _require_rate(self, writing: Writing, name: str) -> None:
        most = self._limits.invitations_an_hour
        values = {"workspace": name, "hour": _AN_HOUR, "others": most - 1}
        row = (await writing.connection.execute(_RECENT, values)).first()
        if row is not None:
            wait = max(1.0, (row.created_at + _AN_HOUR - row.now).total_seconds())
            text = f'workspace "{name}" has invited {most} addresses within an hour, as many as it may'
            raise RateLimited(text, retry_after=wait, workspace=name)

    async def _replace(self, writing: Writing, workspace: Workspace, email: str, actor: Actor) -> None:
        before = await find_pending_of_address(writing.connection, workspace.name, email)
        if before is not None:
            if before.can_be_accepted:
                require_above(role_in(actor, workspace), before.role, "to replace the invitation of this address")
            await writing.connection.execute(_REPLACE, {"invitation_id": before.invitation_id})
            if before.can_be_accepted:
                await _record(writing, workspace, "revoked", before.invitation_id, actor.principal)


async def _meant(connection: AsyncConnection, token: str, invitation_id: str, account: Account) -> Invitation:
    """The invitation that the caller means; raises NotFound and Denied."""
    if bool(token) == bool(invitation_id):
        raise InvalidInput.at("token", "give the token of the letter or invitation_id, one of both")
    found = await find(connection, invitation_id=invitation_id, token=hash_of(token) if token else b"")
    if found is None or not found.can_be_accepted:
        raise not_found()
    if not same_address(found.email, account.email):
        raise Denied("this invitation is for another address than your account's")
    return found


async def _end(writing: Writing, invitation: Invitation, state: str, accepted_by: str = "") -> None:
    """Give a pending invitation its last state; raises NotFound when it is over already."""
    values = {"invitation_id": invitation.invitation_id, "state": state, "accepted_by": accepted_by}
    if (await writing.connection.execute(_END, values)).first() is None:
        raise not_found()


async def _join(
    writing: Writing, workspace: Workspace, account: Account, role: str, invited_by: str, before: Member | None
) -> None:
    values = {
        "workspace": workspace.name,
        "user_id": account.user_id,
        "email": account.email,
        "role": role,
        "invited_by": invited_by,
    }
    await writing.connection.execute(_JOIN, values)
    await writing.members_changed(workspace.name)
    facts = {"tenant": workspace.tenant, "role": role}
    what = "member_joined" if before is None else "member_role_changed"
    event = events.Event(f"workspace.{what}.v1", account.user_id, workspace.name, f"user:{account.user_id}", facts)
    await events.record(writing.connection, event)


async def _record(
    writing: Writing, workspace: Workspace, what: str, invitation_id: str, principal: str, **data: str
) -> None:
    # Not whom it invites: what went out to a stream cannot be erased. The audit log asks for the address by the id.
    facts = {"tenant": workspace.tenant, **data}
    event = events.Event(f"workspace.invitation_{what}.v1", invitation_id, workspace.name, principal, facts)
    await events.record(writing.connection, event)


def _require_no_member(workspace: Workspace, email: str, known: set[str]) -> None:
    """Raise for somebody who is in already. It tells nothing about accounts of others."""
    for member in workspace.members:
        if same_address(member.email, email) or (member.user_id and member.user_id in known):
            raise FailedPrecondition(
                f'{email} is a member of workspace "{workspace.name}" already', workspace=workspace.name
            )


def not_found() -> NotFound:
    """The same for all that cannot be accepted: guessing tells nothing."""
    return NotFound(
        "there is no such invitation, or it was used, taken back or has expired: ask for another",
        reason=Reason.INVITATION_NOT_FOUND,
    )
