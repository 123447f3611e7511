"""What this service keeps about a person: to read it, and to erase it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from pyairtable_platform.common import effects, events
from pyairtable_platform.common.database import EVERY_WORKSPACE
from pyairtable_platform.common.errors import FailedPrecondition, Reason
from pyairtable_platform.common.workspace import OWNER, Workspace

from .edits import Edits
from .members.accounts import Accounts
from .members.rules import same_address
from .members.service import take_out
from .service import Registry
from .store import WorkspaceStore
from .writing import Writing

NOBODY = "user:erased"
MOST_EXPORTED = 10_000

_MEMBERSHIPS = text(
    "SELECT workspace, email, role, joined_at, invited_by FROM members WHERE user_id = :user_id ORDER BY workspace"
)
_RECEIVED = text(
    "SELECT workspace, email, role, state, created_at, expires_at FROM invitations "
    "WHERE accepted_by = :user_id OR lower(email) = ANY(:emails) ORDER BY created_at LIMIT :most"
)
_SENT = text(
    "SELECT workspace, email, role, state, created_at, expires_at FROM invitations "
    "WHERE invited_by = :user_id ORDER BY created_at LIMIT :most"
)
_ACTIONS = text(
    "SELECT workspace, occurred_at, action, subject FROM audit_log WHERE principal = :principal "
    "ORDER BY occurred_at DESC LIMIT :most"
)
_DELETE_INVITATIONS = text("DELETE FROM invitations WHERE accepted_by = :user_id OR lower(email) = ANY(:emails)")
_INVITED_BY_NOBODY = text("UPDATE invitations SET invited_by = '' WHERE invited_by = :user_id")
_MEMBERS_OF_NOBODY = text("UPDATE members SET invited_by = '' WHERE invited_by = :user_id RETURNING workspace")
_DONE_BY_NOBODY = text("UPDATE audit_log SET principal = :nobody WHERE principal = :principal")
_ABOUT_NOBODY = text(
    "UPDATE audit_log SET subject = CASE WHEN subject = :user_id THEN 'erased' ELSE subject END, "
    "details = details - 'email' WHERE subject = :user_id OR lower(details ->> 'email') = ANY(:emails)"
)
# Events that are not heard yet, and those that are kept to be heard again.
_TOLD_OF_NOBODY = text(
    "UPDATE outbox SET principal = CASE WHEN principal = :principal THEN :nobody ELSE principal END, "
    "subject = CASE WHEN subject = :user_id THEN 'erased' ELSE subject END "
    "WHERE principal = :principal OR subject = :user_id"
)
# Nobody is left who could read it, and it names people whom the person invited.
_FORGET_LOG = text("DELETE FROM audit_log WHERE tenant = ANY(:tenants)")
# The names of workspaces that end with a person were made of theirs. A step that comes again is refused.
_FORGET_ANSWERS = text(
    "UPDATE effects SET state = 'undone', undone_at = now(), answer = NULL WHERE state = 'done' "
    "AND (answer ->> 'name' = ANY(:ended) OR answer ->> 'workspace' = ANY(:ended))"
)
_MADE_BY_NOBODY = text("UPDATE reservations SET owner_user_id = 'erased' WHERE owner_user_id = :user_id")


@dataclass(frozen=True)
class Plan:
    """What becomes of a person's workspaces: those that end with the person, and those that stay."""

    ending: tuple[Workspace, ...]
    staying: tuple[Workspace, ...]


class People:
    """PersonDataService's rules. A person's data lie in many workspaces: hence EVERY_WORKSPACE."""

    def __init__(self, store: WorkspaceStore, registry: Registry, accounts: Accounts, edits: Edits) -> None:
        self._store = store
        self._registry = registry
        self._accounts = accounts
        self._edits = edits

    async def export(self, user_id: str) -> dict[str, Any]:
        """Everything, as JSON; times are RFC 3339 texts."""
        values = await self._values(user_id)
        parts = {
            "memberships": _MEMBERSHIPS,
            "invitations_received": _RECEIVED,
            "invitations_sent": _SENT,
            "audit_log": _ACTIONS,
        }
        async with self._store.transaction(EVERY_WORKSPACE) as connection:
            return {part: await _rows(connection, statement, values) for part, statement in parts.items()}

    async def erase(self, user_id: str, key: str, dry_run: bool) -> dict[str, int]:
        """Erase it; how many things of which kind. A dry run changes nothing and keeps no key."""
        values = await self._values(user_id)
        async with self._store.transaction(EVERY_WORKSPACE) as connection:
            if dry_run:
                plan = await self._plan(await Writing.begin(connection), user_id, values["emails"])
                return {"workspaces": len(plan.ending), "memberships": len(plan.ending) + len(plan.staying)}
            answer = await effects.once(connection, key, user_id.encode(), partial(self._erase, connection, values))
        await self._registry.catch_up()
        return {name: int(count) for name, count in answer.items()}

    async def _erase(self, connection: AsyncConnection, values: dict[str, Any]) -> dict[str, Any]:
        user_id = values["user_id"]
        writing = await Writing.begin(connection)
        plan = await self._plan(writing, user_id, values["emails"])
        for workspace in plan.ending:
            await self._edits.end(writing, workspace, NOBODY)
        for workspace in plan.staying:
            await take_out(writing, workspace, user_id, NOBODY)
            await writing.members_changed(workspace.name)
            facts = {"tenant": workspace.tenant}
            event = events.Event("workspace.member_removed.v1", "erased", workspace.name, NOBODY, facts)
            await events.record(connection, event)
        ended = [workspace.name for workspace in plan.ending]
        await connection.execute(_FORGET_ANSWERS, {"ended": ended})
        await connection.execute(_FORGET_LOG, {"tenants": [workspace.tenant for workspace in plan.ending]})
        counts = {"workspaces": len(plan.ending), "memberships": len(plan.ending) + len(plan.staying)}
        return {**counts, **await _forget(writing, values)}

    async def _plan(self, writing: Writing, user_id: str, emails: list[str]) -> Plan:
        """Raises FailedPrecondition where the person cannot be taken out."""
        ending, staying = [], []
        names = await writing.connection.execute(_MEMBERSHIPS, {"user_id": user_id})
        for name in [row.workspace for row in names]:
            workspace = await writing.current(name)
            if workspace is None:  # reserved only: the saga that makes it ends or takes it back
                continue
            if _is_alone(workspace, user_id) and await self._edits.is_ours(writing, workspace):
                ending.append(workspace)
            else:
                _require_owner_left(workspace, user_id)
                staying.append(workspace)
        for workspace in self._registry.snapshot().workspaces:
            _require_not_declared(workspace, emails)
        return Plan(tuple(ending), tuple(staying))

    async def _values(self, user_id: str) -> dict[str, Any]:
        accounts = await self._accounts.of_ids([user_id])
        return {
            "user_id": user_id,
            "principal": f"user:{user_id}",
            "nobody": NOBODY,
            "emails": [account.email.lower() for account in accounts],
            "most": MOST_EXPORTED,
        }


async def _forget(writing: Writing, values: dict[str, Any]) -> dict[str, int]:
    """What others need stays, as nobody's."""
    connection = writing.connection
    received = (await connection.execute(_DELETE_INVITATIONS, values)).rowcount
    sent = (await connection.execute(_INVITED_BY_NOBODY, values)).rowcount
    for workspace in {row.workspace for row in await connection.execute(_MEMBERS_OF_NOBODY, values)}:
        await writing.members_changed(workspace)
    entries = (await connection.execute(_DONE_BY_NOBODY, values)).rowcount
    about = (await connection.execute(_ABOUT_NOBODY, values)).rowcount
    await connection.execute(_TOLD_OF_NOBODY, values)
    await connection.execute(_MADE_BY_NOBODY, values)
    return {"invitations": received + sent, "audit_entries": entries + about}


def _is_alone(workspace: Workspace, user_id: str) -> bool:
    return all(member.user_id == user_id for member in workspace.members)


def _require_owner_left(workspace: Workspace, user_id: str) -> None:
    """Raise for the last owner of a workspace that has other members."""
    others = [member for member in workspace.members if member.user_id != user_id]
    own = [member.role for member in workspace.members if member.user_id == user_id]
    if OWNER in own and others and not any(member.role == OWNER for member in others):
        raise FailedPrecondition(
            f'this person is the last owner of workspace "{workspace.name}", which has other members: '
            "make another member its owner, or delete it, first",
            reason=Reason.CONFLICT,
            workspace=workspace.name,
        )


def _require_not_declared(workspace: Workspace, emails: list[str]) -> None:
    """Raise for an owner of a declaration: only there can the address be taken out."""
    for member in workspace.members:
        if member.declared and any(same_address(member.email, email) for email in emails):
            raise FailedPrecondition(
                f"this person's address stands in {workspace.source.kind}/{workspace.name} as an owner: "
                "take it out there first",
                reason=Reason.CONFLICT,
                workspace=workspace.name,
            )


async def _rows(connection: AsyncConnection, statement: TextClause, values: dict[str, Any]) -> list[dict[str, Any]]:
    names = statement.compile().params
    rows = await connection.execute(statement, {name: values[name] for name in names})
    return [
        {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row._mapping.items()}
        for row in rows
    ]
