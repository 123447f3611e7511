"""What a workspace may do where: the rules of its base bindings, kept before anything is sent. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from pyairtable_platform.common.errors import Denied, NotFound, Reason
from pyairtable_platform.common.registry import BaseBinding, Workspace

from .explain import Target, find
from .wire import Json


class Need(enum.IntEnum):
    """What a call does."""

    READ = 1
    WRITE = 2
    SCHEMA = 3


_GRANTS = {"ReadOnly": Need.READ, "ReadWrite": Need.WRITE, "Schema": Need.SCHEMA}


@dataclass(frozen=True, slots=True)
class Where:
    """A base, and maybe a table, that a workspace may use for what it wants."""

    workspace: Workspace
    binding: BaseBinding
    table: str = ""

    @property
    def base_id(self) -> str:
        return self.binding.base_id

    def target(self, **names: str) -> Target:
        """For error messages."""
        return Target(self.base_id, self.table, **names)


def base_for(workspace: Workspace, base_ref: str, need: Need) -> BaseBinding:
    """The base a caller means, if the binding grants what is needed. Raises NotFound or Denied."""
    binding = workspace.base(base_ref)
    granted = _GRANTS[binding.access]
    if need <= granted:
        return binding
    if granted is Need.READ:
        raise Denied(
            f'workspace "{workspace.name}" binds base "{binding.name or binding.base_id}" for reading only',
            reason=Reason.BASE_READ_ONLY,
            base=binding.base_id,
        )
    raise Denied(
        f'workspace "{workspace.name}" may not change tables and fields of base "{binding.name or binding.base_id}": '
        "its binding needs access Schema",
        base=binding.base_id,
    )


def may_create_bases(workspace: Workspace) -> None:
    """Raise Denied unless the workspace may change schemas somewhere."""
    if not any(_GRANTS[binding.access] is Need.SCHEMA for binding in workspace.bases):
        raise Denied(f'workspace "{workspace.name}" may not create bases: none of its bindings has access Schema')


def names_allowed(binding: BaseBinding, table: str) -> bool | None:
    """Whether a table may be used, told by the reference alone; None when the schema must be asked."""
    return True if not binding.tables or table in binding.tables else None


def allowed_tables(binding: BaseBinding, tables: Sequence[Json]) -> list[Json]:
    """The tables of a schema that the binding allows, by id or by name."""
    return [item for item in tables if not binding.tables or not {item["id"], item["name"]}.isdisjoint(binding.tables)]


def require_allowed(where: Where, tables: Sequence[Json]) -> None:
    """Raise NotFound when the table is none of those that the workspace may use."""
    allowed = allowed_tables(where.binding, tables)
    if find(allowed, where.table) is None:
        raise table_not_found(where, allowed)


def table_not_found(where: Where, allowed: Sequence[Json]) -> NotFound:
    names = ", ".join(sorted(str(item["name"]) for item in allowed)) or "none"
    text = f'workspace "{where.workspace.name}" has no table "{where.table}" in base "{where.base_id}": it has {names}'
    return where.target().error(Reason.TABLE_NOT_FOUND, text)
