"""Who has which role in which workspace: read from the registry, and what its changes take back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.errors import Denied, InvalidInput, Reason
from pyairtable_platform.common.registry import WorkspaceRegistry, in_use
from pyairtable_platform.common.roles import rank_of
from pyairtable_platform.common.workspace import OWNER, Owner, Workspace
from pyairtable_protos.workspaces.v1 import workspace_service_pb2

from .accounts.rules import folded_email
from .revocations import Revocation, RevocationFeed

SERVICE_ACCOUNT = "ServiceAccount"


@dataclass(frozen=True)
class Person:
    """Somebody with an active account. The address is proved and folded."""

    user_id: str
    email: str
    is_admin: bool = False

    @property
    def principal(self) -> str:
        return f"user:{self.user_id}"


@dataclass(frozen=True)
class ServiceAccount:
    """An account of a program in Kubernetes; `uid` tells it from one that was made anew under its name."""

    namespace: str
    name: str
    uid: str

    @property
    def principal(self) -> str:
        return f"service-account:{self.namespace}:{self.name}"


Member = Person | ServiceAccount


@dataclass(frozen=True)
class Right:
    """A role in a workspace, as of a revision of the registry."""

    workspace: Workspace
    role: str
    revision: int


class Memberships(WorkspaceRegistry):
    """The registry as auth follows it: answers who may what, and tells the feed of what is taken back."""

    def __init__(self, channel: ServiceChannel, feed: RevocationFeed) -> None:
        super().__init__(channel)
        self._feed = feed

    def apply(self, update: workspace_service_pb2.WatchWorkspacesResponse) -> None:
        before, registry = self._workspaces, self._registry
        super().apply(update)
        after = self._workspaces
        if after is before or after is None:
            return
        if before is None or registry != self._registry:
            # What happened before is not known: whatever was signed before a workspace changed last is signed anew.
            changed = [Revocation(workspace=each.name, revision=each.version) for each in after.values()]
            self._feed.replace_rights(self._registry, changed)
        else:
            self._feed.add(taken_back(before, after, self._revision))

    def right(self, member: Member, name: str) -> Right:
        """The role in a workspace; raises Denied, whether there is no such workspace or the member is none of it."""
        workspace = self._known().get(name)
        role = role_of(member, workspace) if workspace else ""
        if workspace is None or not role:
            raise Denied(f'you are no member of a workspace "{name}"', workspace=name)
        return Right(in_use(workspace), role, self._revision)

    def of(self, member: Member) -> list[Right]:
        """All workspaces of a member, suspended ones too, by name."""
        known = sorted(self._known().items())
        found = [(workspace, role_of(member, workspace)) for _, workspace in known]
        return [Right(workspace, role, self._revision) for workspace, role in found if role]

    def only_or(self, member: Member, preferred: str) -> Right:
        """The workspace that is meant when none is named: the only one, or the preferred one.

        Raises InvalidInput (WORKSPACE_REQUIRED), with the names, when that does not tell.
        """
        rights = self.of(member)
        meant = rights if len(rights) == 1 else [right for right in rights if right.workspace.name == preferred]
        if meant:
            return Right(in_use(meant[0].workspace), meant[0].role, meant[0].revision)
        names = ", ".join(right.workspace.name for right in rights)
        text = f"name one of {names}" if rights else "you are a member of no workspace: create one, or be invited"
        error = InvalidInput.at("workspace", text, reason=Reason.WORKSPACE_REQUIRED)
        error.metadata["workspaces"] = names
        raise error


def role_of(member: Member, workspace: Workspace) -> str:
    """The highest role that somebody has in a workspace; empty for none."""
    roles = (
        [each.role for each in workspace.members if is_member(member, each.user_id, each.email)]
        if isinstance(member, Person)
        else [OWNER for each in workspace.owners if each == owner_of(member)]
    )
    return max(roles, key=rank_of, default="")


def joined_at(person: Person, workspace: Workspace) -> datetime | None:
    """When a person's membership began; None for who is no member, or an owner of the declaration."""
    return next((each.joined_at for each in workspace.members if each.user_id == person.user_id), None)


def taken_back(before: Mapping[str, Workspace], after: Mapping[str, Workspace], revision: int) -> Iterator[Revocation]:
    """What a change of the registry takes back from tokens that were signed before it."""
    for name, old in before.items():
        new = after.get(name)
        if new is not old:
            yield from taken_back_in(old, new, revision)


def taken_back_in(old: Workspace, new: Workspace | None, revision: int) -> Iterator[Revocation]:
    """What the change of one workspace takes back; None: it is gone."""
    if new is None or is_cut_off(old, new):
        yield Revocation(workspace=old.name, revision=revision)
        return
    roles = {member.user_id: member.role for member in new.members if member.user_id}
    for member in old.members:
        if member.user_id and roles.get(member.user_id) != member.role:
            yield Revocation(workspace=old.name, principal=f"user:{member.user_id}", revision=revision)


def is_cut_off(old: Workspace, new: Workspace) -> bool:
    """Whether nobody's tokens for a workspace count after its change: it was made anew, suspended, or has new owners
    whose addresses only stand for them."""
    declared = {each for each in (*old.members, *new.members) if not each.user_id}
    return (
        old.tenant != new.tenant
        or (new.suspended and not old.suspended)
        or set(old.owners) != set(new.owners)
        or any((each in old.members) != (each in new.members) for each in declared)
    )


def is_member(person: Person, user_id: str, email: str) -> bool:
    """Whether a member is this person: by id, or an owner of the declaration by the address that the person proved."""
    return user_id == person.user_id if user_id else is_same_address(email, person.email)


def is_same_address(written: str, folded: str) -> bool:
    """Whether a text is an address in whatever case; what is none belongs to nobody."""
    try:
        return folded_email(written) == folded
    except InvalidInput:
        return False


def owner_of(account: ServiceAccount) -> Owner:
    """How a workspace names a ServiceAccount among its owners."""
    return Owner(SERVICE_ACCOUNT, account.name, account.namespace)
