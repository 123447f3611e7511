"""The rules about members and invitations, without I/O."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from pyairtable_platform.common.errors import Denied, FailedPrecondition, InvalidInput, NotFound, Reason
from pyairtable_platform.common.identity import Identity
from pyairtable_platform.common.roles import Need, lesser, rank_of, scope_of
from pyairtable_platform.common.workspace import OWNER, Member, Workspace

LONGEST_ADDRESS = 254
LONGEST_LOCAL_PART = 64
# RFC 5321 without quoted local parts, which no provider gives out; letters of any script.
_ADDRESS = re.compile(r"[^\s@\"(),:;<>\[\]\\\x00-\x20\x7f]+@[^\s@.\x00-\x20]+(\.[^\s@.\x00-\x20]+)+")


@dataclass(frozen=True)
class Actor:
    """Who changes something. `role` is what their credential allows in the workspace."""

    principal: str = ""
    user_id: str = ""
    role: str = OWNER


def actor_of(identity: Identity | None) -> Actor:
    """The caller; without an identity the installation itself."""
    return Actor() if identity is None else Actor(identity.principal, identity.user_id, identity.role)


def address(text: str) -> str:
    """An e-mail address without surrounding blanks; raises InvalidInput for what can be none."""
    email = text.strip()
    local = email.rpartition("@")[0]
    if len(email) > LONGEST_ADDRESS or len(local) > LONGEST_LOCAL_PART or not _ADDRESS.fullmatch(email):
        raise InvalidInput.at("email", "must be an e-mail address, for example ada@example.com")
    return email


def same_address(one: str, other: str) -> bool:
    """Addresses that differ in case only are one."""
    return one.lower() == other.lower()


def declared_addresses(workspace: Workspace) -> list[str]:
    """Addresses of the people who own a workspace by its declaration."""
    return [member.email for member in workspace.members if member.declared]


def resolved(members: Iterable[Member], accounts: Mapping[str, str]) -> tuple[Member, ...]:
    """The members, each person once, by role and address. `accounts`: user_id by address in small letters.

    Who joined and is an owner of the declaration too counts as that.
    """
    joined = {member.user_id: member for member in members if not member.declared}
    found = []
    for member in members:
        if not member.declared:
            continue
        user_id = accounts.get(member.email.lower(), "")
        before = joined.pop(user_id, None) if user_id else None
        found.append(replace(member, user_id=user_id, joined_at=before.joined_at if before else None))
    return tuple(sorted((*found, *joined.values()), key=lambda member: (-rank_of(member.role), member.email.lower())))


def member_of(members: Iterable[Member], user_id: str, workspace: str) -> Member:
    """One of the members; raises NotFound."""
    for member in members:
        if member.user_id == user_id:
            return member
    text = f'this person is no member of workspace "{workspace}"'
    raise NotFound(text, reason=Reason.MEMBER_NOT_FOUND, workspace=workspace, user=user_id)


def role_now(actor: Actor, members: Iterable[Member], workspace: str) -> str:
    """The actor's role at this instant: a token that was signed a moment ago may say more than is true by now."""
    if not actor.user_id:
        return actor.role
    for member in members:
        if member.user_id == actor.user_id:
            return lesser(actor.role, member.role)
    raise Denied(f'you are no member of workspace "{workspace}" any more', workspace=workspace)


def role_in(actor: Actor, workspace: Workspace) -> str:
    """As `role_now`, without asking for accounts: an owner of the declaration is known by address only, so what their
    token says counts."""
    joined = [member for member in workspace.members if not member.declared]
    if declared_addresses(workspace) and not any(member.user_id == actor.user_id for member in joined):
        return actor.role
    return role_now(actor, joined, workspace.name)


def require_above(role: str, other: str, doing: str) -> None:
    """Raise Denied when `other` is above the caller's role."""
    if rank_of(other) > rank_of(role):
        raise Denied(f'your role "{role}" does not allow this: {doing} takes the role "{other}"', role=role)


def can_invite(user_id: str, role: str, members: Iterable[Member]) -> bool:
    """Whether a person could invite somebody with this role now: an invitation counts only as long as they could."""
    own = next((member.role for member in members if member.user_id == user_id), "")
    return Need.MANAGE in scope_of(own).split() and rank_of(role) <= rank_of(own)


def require_not_declared(member: Member, workspace: Workspace) -> None:
    """Raise when the declaration says that this person is an owner: only there can it be changed."""
    if member.declared:
        raise owned_elsewhere(workspace, f"that {member.email} is an owner")


def require_owner_stays(members: Collection[Member], leaving: Member, workspace: str) -> None:
    """Raise when nobody would be left who owns the workspace."""
    others = [member for member in members if member.user_id and member.user_id != leaving.user_id]
    if leaving.role == OWNER and not any(member.role == OWNER for member in others):
        raise FailedPrecondition(
            f'workspace "{workspace}" would have no owner any more: make another member its owner first, or delete it',
            reason=Reason.CONFLICT,
            workspace=workspace,
        )


def owned_elsewhere(workspace: Workspace, what: str) -> FailedPrecondition:
    """The error for a change of something that the workspace's declaration says; it tells where to change it."""
    if workspace.source.kind == "File":
        declared_by, remedy = "a file", "edit the file that WORKSPACES_PATH names; it is read again by itself"
    else:
        declared_by, remedy = "a custom resource", f"run: kubectl edit workspace {workspace.name}"
    kind = workspace.source.kind
    return FailedPrecondition(
        f'workspace "{workspace.name}" is declared by {declared_by}, which says {what}: {remedy}',
        reason=Reason.OWNED_ELSEWHERE,
        workspace=workspace.name,
        object=f"{kind}/{workspace.name}",
    )
