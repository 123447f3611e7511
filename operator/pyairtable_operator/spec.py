"""`Workspace` and `BaseBinding` as values: the one place that knows their JSON.

The API server has checked the documents against the schema (charts/pyairtable/files/crds). They are checked again here
because objects stored under an older schema are never checked twice by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass

from pyairtable_operator import constants
from pyairtable_operator.quantities import parse_quantity

_PART = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

Access = Literal["ReadOnly", "ReadWrite", "Schema"]


class InvalidSpec(ValueError):
    """A document that cannot be used; the text names the field and the remedy."""


def _is_quantity(value: str) -> str:
    parse_quantity(value)
    return value


Label = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
BaseId = Annotated[str, Field(pattern=r"^app[A-Za-z0-9]{14}$")]
Quantity = Annotated[str, AfterValidator(_is_quantity)]


@dataclass(frozen=True, slots=True, config=_PART)
class Owner:
    """A Kubernetes subject; `namespace` belongs to a ServiceAccount only."""

    kind: Literal["User", "Group", "ServiceAccount"]
    name: Annotated[str, Field(min_length=1, max_length=253)]
    namespace: str = ""


@dataclass(frozen=True, slots=True, config=_PART)
class SecretRef:
    """A key of a Secret in the credentials namespace."""

    name: Label
    key: str = "token"


@dataclass(frozen=True, slots=True, config=_PART)
class Base:
    """An Airtable base of a workspace, under the workspace's name for it."""

    name: Label
    base_id: BaseId
    access: Access = "ReadWrite"
    default: bool = False
    tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, config=_PART)
class Airtable:
    """What of Airtable the workspace may use."""

    token_secret_ref: SecretRef | None = None
    monthly_call_budget: Annotated[int, Field(ge=0)] = 0
    bases: tuple[Base, ...] = ()
    tenant_bases: tuple[BaseId, ...] = ()


@dataclass(frozen=True, slots=True, config=_PART)
class Llm:
    """What the workspace's chats may do and spend."""

    model: str = ""
    api_key_secret_ref: SecretRef | None = None
    monthly_cost_limit: str = ""
    approval: Literal["Never", "Destructive", "Writes"] = "Never"


@dataclass(frozen=True, slots=True, config=_PART)
class Namespace:
    """The tenant namespace; an empty name is ws-<workspace>."""

    name: str = ""
    quota: dict[str, Quantity] = field(default_factory=dict)
    limits: dict[str, Quantity] = field(default_factory=dict)
    network_policy: Literal["Strict", "Off"] = "Strict"
    pod_security: Literal["restricted", "baseline", "privileged"] = "restricted"


@dataclass(frozen=True, slots=True, config=_PART)
class AccessKey:
    """How long a key serves, and how long the one before goes on; seconds. 0: it is rotated by annotation only."""

    rotate_after_seconds: Annotated[int, Field(ge=0)] = 7776000
    overlap_seconds: Annotated[int, Field(ge=0, le=604800)] = 86400


@dataclass(frozen=True, slots=True, config=_PART)
class WorkspaceSpec:
    """`spec` of a Workspace with its defaults."""

    display_name: str = ""
    owners: tuple[Owner, ...] = ()
    airtable: Airtable = Airtable()
    llm: Llm = Llm()
    namespace: Namespace = field(default_factory=Namespace)
    access_key: AccessKey = AccessKey()
    suspend: bool = False
    deletion_policy: Literal["Retain", "Delete"] = "Retain"


@dataclass(frozen=True, slots=True, config=_PART)
class BindingSpec:
    """`spec` of a BaseBinding with its defaults."""

    base_id: BaseId
    access: Access = "ReadWrite"
    default: bool = False
    tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Meta:
    """What of an object's metadata counts."""

    name: str
    namespace: str
    uid: str
    generation: int
    resource_version: str
    labels: dict[str, str]
    annotations: dict[str, str]
    finalizers: tuple[str, ...]
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Workspace:
    """A Workspace as it stands in the cluster."""

    meta: Meta
    spec: WorkspaceSpec
    status: dict[str, Any]

    @property
    def name(self) -> str:
        return self.meta.name

    @property
    def uid(self) -> str:
        return self.meta.uid

    @property
    def namespace(self) -> str:
        """Name of the tenant namespace."""
        return self.spec.namespace.name or f"ws-{self.meta.name}"

    @property
    def deleting(self) -> bool:
        return self.meta.deleted_at is not None

    @property
    def rotation_request(self) -> str:
        """Value of the annotation that asks for a new access key; empty when there is none."""
        return self.meta.annotations.get(constants.ROTATE_ANNOTATION, "")

    @property
    def plan_only(self) -> bool:
        return self.meta.annotations.get(constants.PLAN_ANNOTATION) == "true"

    @property
    def force_delete(self) -> bool:
        return self.meta.annotations.get(constants.FORCE_DELETE_ANNOTATION) == "true"


@dataclass(frozen=True, slots=True)
class Binding:
    """A BaseBinding as it stands in the cluster."""

    meta: Meta
    spec: BindingSpec
    status: dict[str, Any]

    @property
    def managed(self) -> bool:
        """Made by the operator from spec.airtable.bases; otherwise the tenant's own."""
        return self.meta.labels.get(constants.MANAGED_BY_LABEL) == constants.FIELD_MANAGER

    @property
    def accepted_schema(self) -> str:
        """Value of the annotation that accepts a changed schema; empty when there is none."""
        return self.meta.annotations.get(constants.ACCEPT_SCHEMA_ANNOTATION, "")


Spec = TypeVar("Spec")

_WORKSPACE_SPEC = TypeAdapter(WorkspaceSpec)
_BINDING_SPEC = TypeAdapter(BindingSpec)


def parse_workspace(body: Mapping[str, Any]) -> Workspace:
    """Raises InvalidSpec when the spec cannot be used."""
    return Workspace(parse_meta(body), _parse(_WORKSPACE_SPEC, body), body.get("status") or {})


def parse_binding(body: Mapping[str, Any]) -> Binding:
    """Raises InvalidSpec when the spec cannot be used."""
    return Binding(parse_meta(body), _parse(_BINDING_SPEC, body), body.get("status") or {})


def parse_meta(body: Mapping[str, Any]) -> Meta:
    """`metadata` of any object that the API server sent."""
    meta = body["metadata"]
    deleted = meta.get("deletionTimestamp")
    return Meta(
        name=meta["name"],
        namespace=meta.get("namespace") or "",
        uid=meta.get("uid") or "",
        generation=meta.get("generation") or 0,
        resource_version=meta.get("resourceVersion") or "",
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
        finalizers=tuple(meta.get("finalizers") or ()),
        deleted_at=datetime.fromisoformat(deleted) if deleted else None,
    )


def _parse(adapter: TypeAdapter[Spec], body: Mapping[str, Any]) -> Spec:
    try:
        return adapter.validate_python(body.get("spec") or {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(["spec", *(str(part) for part in first["loc"])])
        raise InvalidSpec(f"{place}: {first['msg'].removeprefix('Value error, ')}") from error
