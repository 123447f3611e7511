"""`Workspace` documents (pyairtable.dev/v1alpha1), read as `kubectl apply` would take them.

What is accepted here is what the custom resource's schema in the chart accepts, rule for rule: unknown keys are
refused, nulls count as absent, and the sentences are the same. tests/cluster/api compares both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

API_VERSION = "pyairtable.dev/v1alpha1"
KIND = "Workspace"

_HAS_WORKSPACE = re.compile(r"^[\"']?kind[\"']?\s*:\s*[\"']?Workspace", re.MULTILINE)
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUOTA_NAMES = (
    *("cpu", "memory", "ephemeral-storage", "pods", "services", "services.nodeports", "services.loadbalancers"),
    *("secrets", "configmaps", "persistentvolumeclaims", "replicationcontrollers", "resourcequotas"),
)
_QUOTA_PREFIXES = ("requests.", "limits.", "count/")
_QUOTA_SUFFIXES = tuple(
    f".storageclass.storage.k8s.io/{resource}" for resource in ("requests.storage", "persistentvolumeclaims")
)


def matching(pattern: str, otherwise: str) -> AfterValidator:
    """A check that a whole string matches; `otherwise` says what it must be."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(otherwise)
        return value

    return AfterValidator(check)


def distinct(key: Callable[[Any], object] = lambda item: item) -> AfterValidator:
    """A check that no two items of a list have the same key."""

    def check(items: Iterable[Any]) -> Iterable[Any]:
        seen: set[object] = set()
        for item in items:
            if (found := key(item)) in seen:
                raise ValueError(f"{found if isinstance(found, str) else item!r} stands there twice")
            seen.add(found)
        return items

    return AfterValidator(check)


ShortText = StringConstraints(min_length=1, max_length=63)
Name = Annotated[str, ShortText, matching(_LABEL, "must be lower-case letters, digits and hyphens")]
SecretKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    matching(
        r"(?!\.\.|\.$)[-._a-zA-Z0-9]+",
        "must be a key of a Secret: letters, digits, hyphen, underscore and dot, not beginning with two dots",
    ),
]
BaseId = Annotated[
    str,
    matching(
        "app[A-Za-z0-9]{14}",
        "must be Airtable's id of the base: app and 14 letters or digits, as in its address airtable.com/app...",
    ),
]
Table = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Quantity = Annotated[
    str,
    StringConstraints(max_length=32),
    matching(
        r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?",
        'must be a quantity in quotes, for example "500m", "4Gi" or "20"',
    ),
]


class DocumentError(ValueError):
    """A document that cannot be used: names the file, the place in it and the remedy."""


class Part(BaseModel):
    """A part of a document: camelCase keys, none unknown."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def null_is_absent(cls, content: Any) -> Any:
        """The API server takes `key: null` out of known keys before it looks at them."""
        if not isinstance(content, dict):
            return content
        known = {field.alias for field in cls.model_fields.values()}
        return {key: value for key, value in content.items() if value is not None or key not in known}


class Owner(Part):
    kind: Literal["User", "Group", "ServiceAccount"]
    name: str = Field(min_length=1, max_length=253)
    namespace: Annotated[str, matching(f"({_LABEL})?", "must be the name of a namespace")] = Field(
        default="", max_length=63
    )

    @model_validator(mode="after")
    def only_accounts_have_a_namespace(self) -> Owner:
        if self.kind == "ServiceAccount" and not self.namespace:
            raise ValueError("an owner of kind ServiceAccount needs namespace: where the account lives")
        if self.kind != "ServiceAccount" and self.namespace:
            raise ValueError("namespace belongs only to an owner of kind ServiceAccount; remove it")
        return self


class SecretRef(Part):
    name: Name
    key: SecretKey = "token"


class Base(Part):
    name: Name
    base_id: BaseId
    access: Literal["ReadOnly", "ReadWrite", "Schema"] = "ReadWrite"
    default: StrictBool = False
    tables: Annotated[tuple[Table, ...], distinct()] = Field(default=(), max_length=500)


class Airtable(Part):
    token_secret_ref: SecretRef | None = None
    monthly_call_budget: StrictInt = Field(default=0, ge=0, le=2**31 - 1)
    bases: tuple[Base, ...] = Field(default=(), max_length=100)
    tenant_bases: Annotated[tuple[BaseId, ...], distinct()] = Field(default=(), max_length=100)
    """Bases that a tenant may bind himself; read by the operator only."""

    @model_validator(mode="after")
    def bases_are_distinct(self) -> Airtable:
        for attribute in ("name", "base_id"):
            values = [getattr(base, attribute) for base in self.bases]
            if repeated := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"bases: {to_camel(attribute)} {repeated[0]} stands there twice")
        if sum(base.default for base in self.bases) != 1 and len(self.bases) > 1:
            raise ValueError("bases: exactly one must have default: true")
        return self


class Llm(Part):
    model: str = Field(default="", max_length=100)
    api_key_secret_ref: SecretRef | None = None
    monthly_cost_limit: str = ""
    approval: Literal["Never", "Destructive", "Writes"] = "Never"

    @field_validator("monthly_cost_limit")
    @classmethod
    def is_money(cls, value: str) -> str:
        if value and not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", value):
            raise ValueError('must be US dollars as a decimal in quotes, for example "25.00"')
        return str(Decimal(value)) if value else ""


class Namespace(Part):
    name: Name | None = None
    quota: dict[str, Quantity] = Field(default_factory=dict, max_length=50)
    limits: dict[str, Quantity] = Field(default_factory=dict, max_length=3)
    network_policy: Literal["Strict", "Off"] = "Strict"
    pod_security: Literal["restricted", "baseline", "privileged"] = "restricted"

    @field_validator("quota", "limits", mode="before")
    @classmethod
    def null_is_no_entry(cls, value: Any) -> Any:
        return {name: one for name, one in value.items() if one is not None} if isinstance(value, dict) else value

    @field_validator("name")
    @classmethod
    def is_a_tenants(cls, value: str | None) -> str | None:
        if value and (value == "default" or value.startswith(("kube-", "pyairtable-"))):
            raise ValueError("default, kube-... and pyairtable-... belong to the cluster and the platform")
        return value

    @field_validator("quota")
    @classmethod
    def quota_is_known(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not (name in _QUOTA_NAMES or name.startswith(_QUOTA_PREFIXES) or name.endswith(_QUOTA_SUFFIXES)):
                raise ValueError(f"{name} is no name that a ResourceQuota knows; use for example requests.cpu or pods")
        return value

    @field_validator("limits")
    @classmethod
    def limits_are_known(cls, value: dict[str, str]) -> dict[str, str]:
        if not value.keys() <= {"cpu", "memory", "ephemeral-storage"}:
            raise ValueError("only cpu, memory and ephemeral-storage have default limits")
        return value


class AccessKey(Part):
    """How the key of a tenant's programs is replaced; read by the operator only."""

    rotate_after_seconds: StrictInt = Field(default=7_776_000, ge=0, le=315_360_000)
    overlap_seconds: StrictInt = Field(default=86_400, ge=0, le=604_800)

    @model_validator(mode="after")
    def overlap_ends_before_the_next_rotation(self) -> AccessKey:
        if 0 < self.rotate_after_seconds < self.overlap_seconds:
            raise ValueError("overlapSeconds is longer than rotateAfterSeconds; lengthen the one or shorten the other")
        return self


class Spec(Part):
    display_name: str = Field(default="", max_length=100)
    owners: Annotated[tuple[Owner, ...], distinct(lambda owner: (owner.kind, owner.name, owner.namespace))] = Field(
        default=(), max_length=100
    )
    airtable: Airtable = Airtable()
    llm: Llm = Llm()
    namespace: Namespace = Namespace()
    access_key: AccessKey = AccessKey()
    suspend: StrictBool = False
    deletion_policy: Literal["Retain", "Delete"] = "Retain"


class Metadata(Part):
    """metadata: the name is ours, labels and annotations are the reader's business."""

    name: Annotated[
        str,
        StringConstraints(min_length=1, max_length=60),
        matching(_LABEL, "must be at most 60 lower-case letters, digits and hyphens"),
    ]
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    namespace: Any = None
    generate_name: Any = None
    finalizers: Any = None
    owner_references: Any = None
    uid: Any = None
    generation: Any = None
    resource_version: Any = None
    creation_timestamp: Any = None
    deletion_timestamp: Any = None
    deletion_grace_period_seconds: Any = None
    managed_fields: Any = None
    self_link: Any = None
    """These are there in documents that come out of a cluster; nobody reads them."""


class WorkspaceDocument(Part):
    """One document."""

    api_version: Literal["pyairtable.dev/v1alpha1"]
    kind: Literal["Workspace"]
    metadata: Metadata
    spec: Spec = Spec()
    status: dict[str, Any] | None = None
    """There in documents that come out of a cluster; nobody reads it."""


def read_documents(path: Path) -> dict[str, WorkspaceDocument]:
    """Every Workspace in a file or in the *.yaml files of a folder, by name. Other kinds are left to their readers."""
    if not path.exists():
        raise DocumentError(f"{path}: there is no such file or folder; WORKSPACES_PATH names it")
    files = sorted(path.glob("*.y*ml")) if path.is_dir() else [path]
    found: dict[str, WorkspaceDocument] = {}
    for file in files:
        for number, content in enumerate(load_yaml(file), start=1):
            if not isinstance(content, dict) or content.get("kind") != KIND:
                continue
            document = parse_document(content, f"{file}, document {number}")
            if document.metadata.name in found:
                raise DocumentError(f'{file}: workspace "{document.metadata.name}" is declared twice')
            found[document.metadata.name] = document
    return found


def load_yaml(file: Path) -> list[Any]:
    """The documents of one YAML file; none when it holds no Workspace, because seeds beside it may be large."""
    try:
        text = file.read_text()
        return list(yaml.safe_load_all(text)) if _HAS_WORKSPACE.search(text) else []
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise DocumentError(f"{file}: cannot be read as YAML: {error}") from error


def parse_document(content: dict[str, Any], where: str) -> WorkspaceDocument:
    """One document, checked."""
    try:
        return WorkspaceDocument.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "document"
        raise DocumentError(f"{where}: {place}: {first['msg'].removeprefix('Value error, ')}") from error
