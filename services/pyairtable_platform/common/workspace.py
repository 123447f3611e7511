"""What a workspace is to the platform: plain values, their message, and what a caller's words mean in one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pyairtable_protos.workspaces.v1 import workspace_pb2

from .errors import InvalidInput, NotFound, Reason

DEFAULT_BASE = "default"
CUSTOM_RESOURCE = "Workspace"
"""The kind of a source that is an object in a cluster: it has a uid and a generation."""
API = "Api"
"""The kind of a source that is a call of CreateWorkspace: it has a uid."""
OWNER = "owner"

_ACCESS = {
    workspace_pb2.BASE_ACCESS_READ_ONLY: "ReadOnly",
    workspace_pb2.BASE_ACCESS_READ_WRITE: "ReadWrite",
    workspace_pb2.BASE_ACCESS_SCHEMA: "Schema",
}
_ACCESS_MESSAGES = {name: value for value, name in _ACCESS.items()}


@dataclass(frozen=True)
class SecretRef:
    """Where a credential lies. `version` is the begin of the SHA-256 of the value that was checked; empty is any."""

    name: str
    key: str
    version: str = ""


@dataclass(frozen=True)
class Owner:
    """Who owns a workspace, as a Kubernetes subject; `namespace` is that of a ServiceAccount."""

    kind: str
    name: str
    namespace: str = ""


@dataclass(frozen=True)
class Member:
    """A person's role in a workspace. An owner of the declaration (`declared`) has an address only: whoever proved it.

    `joined_at` is in UTC; `invited_by` the user_id of who invited.
    """

    user_id: str
    email: str
    role: str
    joined_at: datetime | None = None
    invited_by: str = ""
    declared: bool = False


@dataclass(frozen=True)
class Source:
    """What declared a workspace: kind Workspace (a custom resource, with uid and generation), File (a document) or Api
    (a call, with a uid)."""

    kind: str = ""
    uid: str = ""
    generation: int = 0


@dataclass(frozen=True)
class BaseBinding:
    """A base that a workspace may use. `access` is ReadOnly, ReadWrite or Schema; empty `tables` means all."""

    name: str
    base_id: str
    access: str
    is_default: bool
    tables: tuple[str, ...]


@dataclass(frozen=True)
class LlmPolicy:
    """What chats may do and spend; empty texts mean the platform's default and no limit."""

    model: str = ""
    monthly_cost_limit: str = ""
    approval: str = "Never"
    api_key: SecretRef | None = None


@dataclass(frozen=True)
class Workspace:
    """A workspace as the data plane sees it."""

    name: str
    display_name: str
    version: int
    suspended: bool
    airtable_secret: SecretRef | None
    monthly_call_budget: int
    bases: tuple[BaseBinding, ...]
    llm: LlmPolicy
    owners: tuple[Owner, ...] = ()
    source: Source = field(default_factory=Source)
    members: tuple[Member, ...] = ()
    """Those who joined, and the owners of the declaration."""
    made_by_call: bool = False
    """Whether somebody who registered made it, and not an operator; also where an object stands for it."""

    @property
    def tenant(self) -> str:
        """What stands for this workspace in stores and caches, never before people: at most 128 characters.

        The name, and for a custom resource or a call its uid too: what is made anew under a name inherits nothing. A
        file has no identity but its name.
        """
        return f"{self.name}:{self.source.uid}" if self.source.kind in (CUSTOM_RESOURCE, API) else self.name

    def base(self, reference: str) -> BaseBinding:
        """The base that a caller means: by id, by bound name, or the default one for "" and "default"."""
        if reference in ("", DEFAULT_BASE):
            return self._default_base()
        for binding in self.bases:
            if reference in (binding.base_id, binding.name):
                return binding
        raise NotFound(
            f'workspace "{self.name}" has no base "{reference}": it has {self._base_names()}',
            reason=Reason.BASE_NOT_FOUND,
            workspace=self.name,
            base=reference,
        )

    def _default_base(self) -> BaseBinding:
        default = next((binding for binding in self.bases if binding.is_default), None)
        if default is None and len(self.bases) == 1:
            default = self.bases[0]
        if default is None:
            text = f'workspace "{self.name}" has no default base: name one of {self._base_names()}'
            raise InvalidInput.at("base_id", text, reason=Reason.BASE_REQUIRED)
        return default

    def _base_names(self) -> str:
        return ", ".join(f"{binding.name} ({binding.base_id})" for binding in self.bases) or "none"


def name_of(tenant: str) -> str:
    """The name of the workspace of a tenant (`Workspace.tenant`); no name holds a colon."""
    return tenant.partition(":")[0]


def from_message(message: workspace_pb2.Workspace) -> Workspace:
    """The contract's message as a plain value."""
    llm = message.llm
    return Workspace(
        name=message.name,
        display_name=message.display_name,
        version=message.version,
        suspended=message.suspended,
        airtable_secret=_secret(message.airtable_token) if message.HasField("airtable_token") else None,
        monthly_call_budget=message.monthly_call_budget,
        bases=tuple(map(binding_from_message, message.bases)),
        llm=LlmPolicy(
            llm.model,
            llm.monthly_cost_limit,
            llm.approval or "Never",
            _secret(llm.api_key) if llm.HasField("api_key") else None,
        ),
        owners=tuple(Owner(item.kind, item.name, item.namespace) for item in message.owners),
        source=Source(message.source.kind, message.source.uid, message.source.generation),
        members=tuple(map(_member, message.members)),
        made_by_call=message.made_by_call,
    )


def declared_members(owners: Iterable[Owner]) -> tuple[Member, ...]:
    """The people among the owners of a declaration, as members."""
    return tuple(Member("", owner.name, OWNER, declared=True) for owner in owners if owner.kind == "User")


def to_message(workspace: Workspace) -> workspace_pb2.Workspace:
    """A workspace as the contract's message."""
    secret, llm, source = workspace.airtable_secret, workspace.llm, workspace.source
    return workspace_pb2.Workspace(
        name=workspace.name,
        display_name=workspace.display_name,
        version=workspace.version,
        suspended=workspace.suspended,
        owners=[
            workspace_pb2.Owner(kind=item.kind, name=item.name, namespace=item.namespace) for item in workspace.owners
        ],
        airtable_token=_secret_message(secret),
        monthly_call_budget=workspace.monthly_call_budget,
        bases=map(binding_message, workspace.bases),
        llm=workspace_pb2.LlmPolicy(
            model=llm.model,
            monthly_cost_limit=llm.monthly_cost_limit,
            approval=llm.approval,
            api_key=_secret_message(llm.api_key),
        ),
        source=workspace_pb2.Source(kind=source.kind, uid=source.uid, generation=source.generation),
        members=map(member_message, workspace.members),
        made_by_call=workspace.made_by_call,
    )


def member_message(member: Member) -> workspace_pb2.Member:
    """A member as the contract's message."""
    message = workspace_pb2.Member(
        user_id=member.user_id,
        email=member.email,
        role=member.role,
        invited_by=member.invited_by,
        declared=member.declared,
    )
    if member.joined_at is not None:
        message.joined_at.FromDatetime(member.joined_at)
    return message


def _member(message: workspace_pb2.Member) -> Member:
    joined_at = message.joined_at.ToDatetime(UTC) if message.HasField("joined_at") else None
    return Member(message.user_id, message.email, message.role, joined_at, message.invited_by, message.declared)


def _secret(message: workspace_pb2.SecretRef) -> SecretRef:
    return SecretRef(message.name, message.key, message.version)


def _secret_message(secret: SecretRef | None) -> workspace_pb2.SecretRef | None:
    return workspace_pb2.SecretRef(name=secret.name, key=secret.key, version=secret.version) if secret else None


def binding_from_message(message: workspace_pb2.BaseBinding) -> BaseBinding:
    """A binding as a plain value; an access that is not known allows the least."""
    access = _ACCESS.get(message.access, "ReadOnly")
    return BaseBinding(message.name, message.base_id, access, message.is_default, tuple(message.tables))


def access_name(access: int) -> str:
    """An access of the contract as bindings have it; empty when it is not set."""
    return _ACCESS.get(workspace_pb2.BaseAccess.ValueType(access), "")


def binding_message(base: BaseBinding) -> workspace_pb2.BaseBinding:
    """A binding as the contract's message."""
    return workspace_pb2.BaseBinding(
        name=base.name,
        base_id=base.base_id,
        access=_ACCESS_MESSAGES[base.access],
        is_default=base.is_default,
        tables=base.tables,
    )
