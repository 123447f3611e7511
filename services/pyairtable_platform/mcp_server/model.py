"""Airtable as the tools see it: plain values, and the gateway they reach it through. No gRPC, HTTP or MCP here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Cells = dict[str, Any]
"""Cells of a record by field name, as Airtable's JSON has them."""

DEFAULT_BASE = "default"
"""What the gateway understands as the workspace's default base."""


@dataclass(frozen=True, slots=True)
class BaseRef:
    """A base, by id or bound name, of a workspace ("" is the caller's only one)."""

    workspace: str
    base_id: str


@dataclass(frozen=True, slots=True)
class TableRef:
    """A table, by id or name."""

    base: BaseRef
    table_id: str


@dataclass(frozen=True, slots=True)
class Base:
    """A base that the workspace may use."""

    id: str
    name: str
    permission_level: str
    binding: str
    is_default: bool
    access: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field with its options as Airtable writes them."""

    id: str
    name: str
    type: str
    description: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class View:
    """A view of a table."""

    id: str
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its fields in order."""

    id: str
    name: str
    primary_field_id: str
    fields: tuple[Field, ...]
    description: str = ""
    views: tuple[View, ...] = ()


@dataclass(frozen=True, slots=True)
class BaseSchema:
    """The tables of a base. `base_id` is Airtable's id, whatever name the caller used."""

    base_id: str
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class NewField:
    """A field to create, options as Airtable wants them."""

    name: str
    type: str
    description: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewTable:
    """A table to create; the first field becomes the primary one."""

    name: str
    fields: tuple[NewField, ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A record. Empty cells are absent, as in Airtable; `created_time` is ISO 8601 in UTC."""

    id: str
    created_time: str
    fields: Cells


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort key."""

    field: str
    direction: Literal["asc", "desc"] = "asc"


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Which records, which cells of them and how many at once. `max_records` 0 is all."""

    fields: tuple[str, ...] = ()
    view: str = ""
    formula: str = ""
    sort: tuple[Sort, ...] = ()
    page_size: int = 100
    page_token: str = ""
    max_records: int = 0
    as_text: bool = False
    time_zone: str = ""
    user_locale: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some records; `next_page_token` is empty on the last page."""

    records: tuple[Record, ...]
    next_page_token: str = ""


RowState = Literal["created", "updated", "deleted", "failed", "unknown", "not_attempted"]
DONE_STATES: frozenset[str] = frozenset({"created", "updated", "deleted"})


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row was not written. `reason` is a name of common.errors.Reason."""

    reason: str
    message: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of one row of a write; `index` is its position in the request."""

    index: int
    state: RowState
    record_id: str = ""
    record: Record | None = None
    error: RowError | None = None

    @property
    def done(self) -> bool:
        return self.state in DONE_STATES


@dataclass(frozen=True, slots=True)
class RowUpdate:
    """Cells to write into the record `id`; an upsert matches rows whose `id` is empty by their key fields."""

    id: str
    fields: Cells


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How to write. The idempotency key is empty for "no promise"."""

    typecast: bool = False
    idempotency_key: str = ""


class Gateway(Protocol):
    """All that the tools ask of Airtable. Every method raises the errors of common.errors."""

    async def list_bases(self, workspace: str) -> Sequence[Base]: ...

    async def get_schema(self, base: BaseRef) -> BaseSchema: ...

    async def create_table(self, base: BaseRef, table: NewTable) -> Table: ...

    async def create_field(self, table: TableRef, new: NewField) -> Field: ...

    async def list_records(self, table: TableRef, query: RecordQuery) -> Page: ...

    def stream_records(self, table: TableRef, query: RecordQuery) -> AsyncGenerator[Page, None]: ...

    async def get_record(self, table: TableRef, record_id: str) -> Record: ...

    async def create_records(
        self, table: TableRef, rows: Sequence[Cells], options: WriteOptions
    ) -> Sequence[RowOutcome]: ...

    async def update_records(
        self, table: TableRef, rows: Sequence[RowUpdate], options: WriteOptions
    ) -> Sequence[RowOutcome]: ...

    async def upsert_records(
        self, table: TableRef, rows: Sequence[RowUpdate], merge_on: Sequence[str], options: WriteOptions
    ) -> Sequence[RowOutcome]: ...

    async def delete_records(
        self, table: TableRef, record_ids: Sequence[str], options: WriteOptions
    ) -> Sequence[RowOutcome]: ...
