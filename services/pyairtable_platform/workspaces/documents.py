"""`Workspace` documents (pyairtable.dev/v1alpha1), read as `kubectl apply` would take them.

Unknown keys are refused, as the API server does with the custom resource's schema.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

API_VERSION = "pyairtable.dev/v1alpha1"
KIND = "Workspace"

_HAS_WORKSPACE = re.compile(r"^[\"']?kind[\"']?\s*:\s*[\"']?Workspace", re.MULTILINE)

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
BaseId = Annotated[str, Field(pattern=r"^app[A-Za-z0-9]{14}$")]


class DocumentError(ValueError):
    """A document that cannot be used: names the file, the place in it and the remedy."""


class Part(BaseModel):
    """A part of a document: camelCase keys, none unknown."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Owner(Part):
    kind: Literal["User", "Group", "ServiceAccount"]
    name: str = Field(min_length=1, max_length=253)
    namespace: str = Field(default="", max_length=63)


class SecretRef(Part):
    name: Name
    key: str = Field(default="token", min_length=1, max_length=253)


class Base(Part):
    name: Name
    base_id: BaseId
    access: Literal["ReadOnly", "ReadWrite", "Schema"] = "ReadWrite"
    default: bool = False
    tables: tuple[str, ...] = Field(default=(), max_length=500)


class Airtable(Part):
    token_secret_ref: SecretRef | None = None
    monthly_call_budget: int = Field(default=0, ge=0, le=2**31 - 1)
    bases: tuple[Base, ...] = Field(default=(), max_length=100)

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
        if value and not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", value):
            raise ValueError('must be US dollars as a decimal in quotes, for example "25.00"')
        return str(Decimal(value)) if value else ""


class Namespace(Part):
    name: Name | None = None
    quota: dict[str, str] = Field(default_factory=dict)
    limits: dict[str, str] = Field(default_factory=dict)
    network_policy: Literal["Strict", "Off"] = "Strict"
    pod_security: Literal["restricted", "baseline", "privileged"] = "restricted"


class Spec(Part):
    display_name: str = Field(default="", max_length=100)
    owners: tuple[Owner, ...] = Field(default=(), max_length=100)
    airtable: Airtable = Airtable()
    llm: Llm = Llm()
    namespace: Namespace = Namespace()
    suspend: bool = False
    deletion_policy: Literal["Retain", "Delete"] = "Retain"


class Metadata(BaseModel):
    """metadata: the name is ours, labels and annotations are the reader's business."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Name


class WorkspaceDocument(Part):
    """One document."""

    api_version: Literal["pyairtable.dev/v1alpha1"]
    kind: Literal["Workspace"]
    metadata: Metadata
    spec: Spec = Spec()


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
