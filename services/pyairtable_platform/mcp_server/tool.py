"""What a tool is: its names for people and models, its typed arguments and result, what it may do, and its code."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pyairtable_platform.common.roles import Need

from .model import DEFAULT_BASE, BaseRef, Gateway, TableRef

MAX_KEY_LENGTH = 128
"""Longest idempotency key that the gateway takes."""


class Access(enum.Enum):
    """What a tool does, and so what it needs of the caller's role (common/roles.py)."""

    READ = "read"
    WRITE = "write"
    DESTROY = "destroy"
    SCHEMA = "schema"


class Arguments(BaseModel):
    """Arguments of a tool: unknown names are refused; null means "not given" where there is a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def drop_nulls(cls, values: Any) -> Any:
        """Models write null for what they leave out."""
        if not isinstance(values, dict):
            return values
        optional = {name for name, info in cls.model_fields.items() if not info.is_required()}
        return {name: value for name, value in values.items() if value is not None or name not in optional}


class BaseArguments(Arguments):
    """Arguments of a tool that works on a base."""

    base_id: str = Field(
        default="",
        max_length=255,
        description="Id (app...) or bound name of the base; empty is the workspace's default base.",
    )


class TableArguments(BaseArguments):
    """Arguments of a tool that works on a table."""

    table_id: str = Field(min_length=1, max_length=255, description="Id (tbl...) or name of the table.")


class Result(BaseModel):
    """The structured result of a tool."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a running tool has: the gateway, the workspace it works in, and the caller's idempotency key."""

    gateway: Gateway
    workspace: str = ""
    idempotency_key: str = ""

    def base(self, arguments: BaseArguments) -> BaseRef:
        return self.base_named(arguments.base_id)

    def base_named(self, base_id: str) -> BaseRef:
        return BaseRef(self.workspace, base_id or DEFAULT_BASE)

    def table(self, arguments: TableArguments) -> TableRef:
        return TableRef(self.base(arguments), arguments.table_id)

    def key(self, step: str, rows: object = None) -> str:
        """The idempotency key of one write of this call; empty when the caller gave none.

        Give `rows` where a repeat may compute other rows than the first try did: they become part of the key, since
        the gateway refuses a key that comes back with another request.
        """
        if not self.idempotency_key:
            return ""
        suffix = step if rows is None else f"{step}:{_digest(repr(rows))[:16]}"
        key = f"{self.idempotency_key}:{suffix}"
        return key if len(key) <= MAX_KEY_LENGTH else f"{_digest(self.idempotency_key)}:{suffix}"


A = TypeVar("A", bound=Arguments)
R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Tool(Generic[A, R]):
    """A tool. `run` raises the errors of common.errors; it never returns a failure as a result."""

    name: str
    title: str
    description: str
    arguments: type[A]
    result: type[R]
    run: Callable[[ToolContext, A], Awaitable[R]]
    access: Access
    destructive: bool = False
    """May remove or overwrite what is there."""
    idempotent: bool = False
    """A repeat with the same arguments changes nothing more."""

    @property
    def read_only(self) -> bool:
        return self.access is Access.READ

    @property
    def need(self) -> Need:
        """What it needs of the caller's role."""
        return Need(self.access.value)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
