"""A gateway in memory: a base with tables, formulas evaluated by the emulator's own language, faults on request."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pyairtable_devkit.airtable.formula import compile_formula, is_truthy, parse
from pyairtable_platform.common.errors import InvalidInput, NotFound, PyAirtableError, Reason
from pyairtable_platform.mcp_server.cells import is_empty
from pyairtable_platform.mcp_server.lookup import find_field, find_table
from pyairtable_platform.mcp_server.model import (
    DEFAULT_BASE,
    Base,
    BaseRef,
    BaseSchema,
    Cells,
    Field,
    NewField,
    NewTable,
    Page,
    Record,
    RecordQuery,
    RowError,
    RowOutcome,
    RowUpdate,
    Table,
    TableRef,
    WriteOptions,
)

BASE_ID = "appFake0000000001"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class Write:
    """A write that arrived."""

    method: str
    rows: list[Any]
    options: WriteOptions


@dataclass
class FakeGateway:
    """Implements model.Gateway over one base."""

    tables: dict[str, Table] = field(default_factory=dict)
    records: dict[str, dict[str, Record]] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    queries: list[RecordQuery] = field(default_factory=list)
    workspaces: list[str] = field(default_factory=list)
    refuse: dict[str, RowError] = field(default_factory=dict)
    """Rows that hold this text in a cell are refused."""
    fail: dict[str, PyAirtableError] = field(default_factory=dict)
    """Methods that raise."""

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    def add_table(self, name: str, fields: Sequence[Field], rows: Sequence[Cells] = ()) -> Table:
        table = Table(f"tbl{len(self.tables) + 1:014d}", name, fields[0].id, tuple(fields))
        self.tables[table.id] = table
        self.records[table.id] = {}
        for row in rows:
            self._insert(table, row)
        return table

    def rows(self, table: Table) -> list[Record]:
        return list(self.records[table.id].values())

    async def list_bases(self, workspace: str) -> list[Base]:
        self._called("list_bases", workspace)
        return [Base(BASE_ID, "Fake", "create", "crm", True, "Schema")]

    async def get_schema(self, base: BaseRef) -> BaseSchema:
        self._called("get_schema", base.workspace)
        if base.base_id not in (DEFAULT_BASE, BASE_ID, "crm"):
            raise NotFound(f"there is no base {base.base_id!r}", reason=Reason.BASE_NOT_FOUND)
        return BaseSchema(BASE_ID, tuple(self.tables.values()))

    async def create_table(self, base: BaseRef, table: NewTable) -> Table:
        self._called("create_table", base.workspace)
        return self.add_table(table.name, [_made(item) for item in table.fields])

    async def create_field(self, table: TableRef, new: NewField) -> Field:
        self._called("create_field", table.base.workspace)
        found, made = self._table(table), _made(new)
        self.tables[found.id] = replace(found, fields=(*found.fields, made))
        return made

    async def list_records(self, table: TableRef, query: RecordQuery) -> Page:
        self._called("list_records", table.base.workspace)
        self.queries.append(query)
        found = self._select(self._table(table), query)
        start = int(query.page_token or 0)
        end = start + query.page_size
        return Page(tuple(found[start:end]), str(end) if end < len(found) else "")

    async def stream_records(self, table: TableRef, query: RecordQuery) -> AsyncGenerator[Page, None]:
        self._called("stream_records", table.base.workspace)
        self.queries.append(query)
        found = self._select(self._table(table), query)
        bounded = found[: query.max_records or None]
        for start in range(0, len(bounded), query.page_size):
            yield Page(tuple(bounded[start : start + query.page_size]))

    async def get_record(self, table: TableRef, record_id: str) -> Record:
        self._called("get_record", table.base.workspace)
        found = self.records[self._table(table).id].get(record_id)
        if found is None:
            raise NotFound(f"there is no record {record_id}", reason=Reason.RECORD_NOT_FOUND)
        return found

    async def create_records(self, table: TableRef, rows: Sequence[Cells], options: WriteOptions) -> list[RowOutcome]:
        self._write("create_records", rows, options)
        found = self._table(table)
        return [
            self._refused(at, row) or RowOutcome(at, "created", (made := self._insert(found, row)).id, made)
            for at, row in enumerate(rows)
        ]

    async def update_records(
        self, table: TableRef, rows: Sequence[RowUpdate], options: WriteOptions
    ) -> list[RowOutcome]:
        self._write("update_records", rows, options)
        return [self._refused(at, row.fields) or self._update(table, at, row) for at, row in enumerate(rows)]

    async def upsert_records(
        self, table: TableRef, rows: Sequence[RowUpdate], merge_on: Sequence[str], options: WriteOptions
    ) -> list[RowOutcome]:
        self._write("upsert_records", rows, options)
        found = self._table(table)
        outcomes = []
        for at, row in enumerate(rows):
            same = [
                record.id
                for record in self.rows(found)
                if all(record.fields.get(name) == row.fields.get(name) for name in merge_on)
            ]
            if refused := self._refused(at, row.fields):
                outcomes.append(refused)
            elif row.id or same:
                outcomes.append(self._update(table, at, RowUpdate(row.id or same[0], row.fields)))
            else:
                made = self._insert(found, row.fields)
                outcomes.append(RowOutcome(at, "created", made.id, made))
        return outcomes

    async def delete_records(
        self, table: TableRef, record_ids: Sequence[str], options: WriteOptions
    ) -> list[RowOutcome]:
        self._write("delete_records", record_ids, options)
        found = self.records[self._table(table).id]
        return [
            RowOutcome(at, "deleted", record_id)
            if found.pop(record_id, None)
            else RowOutcome(at, "failed", record_id, error=RowError("RECORD_NOT_FOUND", f"no record {record_id}"))
            for at, record_id in enumerate(record_ids)
        ]

    def _called(self, method: str, workspace: str = "") -> None:
        self.workspaces.append(workspace)
        if method in self.fail:
            raise self.fail[method]

    def _write(self, method: str, rows: Sequence[Any], options: WriteOptions) -> None:
        self._called(method)
        self.writes.append(Write(method, list(rows), options))

    def _table(self, table: TableRef) -> Table:
        return find_table(BaseSchema(BASE_ID, tuple(self.tables.values())), table.table_id)

    def _insert(self, table: Table, cells: Cells) -> Record:
        number = next(self._numbers)
        filled = {find_field(table, name).name: value for name, value in cells.items() if not is_empty(value)}
        record = Record(f"rec{number:014d}", f"2026-01-01T00:00:{number % 60:02d}.000Z", filled)
        self.records[table.id][record.id] = record
        return record

    def _update(self, table: TableRef, at: int, row: RowUpdate) -> RowOutcome:
        found = self._table(table)
        old = self.records[found.id].get(row.id)
        if old is None:
            return RowOutcome(at, "failed", row.id, error=RowError("RECORD_NOT_FOUND", f"no record {row.id}"))
        cells = {**old.fields, **{find_field(found, name).name: value for name, value in row.fields.items()}}
        new = replace(old, fields={name: value for name, value in cells.items() if not is_empty(value)})
        self.records[found.id][row.id] = new
        return RowOutcome(at, "updated", row.id, new)

    def _refused(self, at: int, cells: Cells) -> RowOutcome | None:
        for text, error in self.refuse.items():
            if any(value == text for value in cells.values()):
                return RowOutcome(at, "failed", error=error)
        return None

    def _select(self, table: Table, query: RecordQuery) -> list[Record]:
        found = self.rows(table)
        if query.formula:
            found = [record for record in found if holds(query.formula, table, record)]
        if query.fields:
            names = {find_field(table, name).name for name in query.fields}
            found = [
                replace(record, fields={name: value for name, value in record.fields.items() if name in names})
                for record in found
            ]
        return found


def holds(formula: str, table: Table, record: Record) -> bool:
    """Whether the record satisfies the formula, by the emulator's evaluator."""
    keys = {key: item.name for item in table.fields for key in (item.id, item.name)}
    try:
        compiled = compile_formula(parse(formula), keys.get)
    except ValueError as error:
        raise InvalidInput.at("filter_by_formula", str(error), reason=Reason.INVALID_FORMULA) from error
    return is_truthy(compiled(FormulaRow(record), NOW))


@dataclass(frozen=True)
class FormulaRow:
    """A record as formulas see it."""

    record: Record

    @property
    def record_id(self) -> str:
        return self.record.id

    @property
    def created_time(self) -> datetime:
        return datetime.fromisoformat(self.record.created_time)

    @property
    def last_modified_time(self) -> datetime:
        return self.created_time

    def value(self, key: Any) -> Any:
        return self.record.fields.get(str(key))

    def modified_time(self, keys: Any) -> None:
        return None


def text_field(name: str, kind: str = "singleLineText", **options: Any) -> Field:
    """A field whose id is made from its name."""
    return Field(f"fld{''.join(filter(str.isalnum, name)):0<14.14}", name, kind, options=options)


def _made(new: NewField) -> Field:
    return Field(text_field(new.name).id, new.name, new.type, new.description, dict(new.options))
