"""What each cell means to formulas, sorting and links, with computed fields really computed.

A reader is a function from a record to its value. Readers are built once per schema; results of
computed fields are kept on the record until something they depend on changes.
"""

import re
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from pyairtable_devkit.airtable import formatting
from pyairtable_devkit.airtable.formula import (
    ERROR,
    Compiled,
    FormulaError,
    compile_formula,
    is_truthy,
    parse,
)
from pyairtable_devkit.airtable.model import NUMBER_TYPES, TEXT_TYPES, Base, Field, Record, Table, User

Reader = Callable[[Record], Any]

ROLLUP_VALUES = "values"
"""The name by which a rollup's aggregation formula calls what it gathers."""

_MOVES_WITH_TIME = re.compile(r"\b(NOW|TODAY|TONOW|FROMNOW)\s*\(", re.IGNORECASE)
_DIRECT_TYPES = TEXT_TYPES | NUMBER_TYPES | {"rating", "singleSelect", "externalSyncSource"}


class _Cycle(Exception):
    """A computed field depends on itself."""


class RowView:
    """A record as the formula package sees it (its `Row` protocol)."""

    __slots__ = ("_readers", "_record")

    def __init__(self, record: Record, readers: dict[Hashable, Reader]) -> None:
        self._record = record
        self._readers = readers

    @property
    def record_id(self) -> str:
        """For RECORD_ID()."""
        return self._record.id

    @property
    def created_time(self) -> datetime:
        """For CREATED_TIME()."""
        return self._record.created_time

    @property
    def last_modified_time(self) -> datetime:
        """For LAST_MODIFIED_TIME() without fields."""
        return self._record.modified_time

    def value(self, key: Hashable) -> Any:
        """The value of the field with this id."""
        return self._readers[key](self._record)

    def modified_time(self, keys: Sequence[Hashable]) -> datetime | None:
        """When one of these fields last changed."""
        return modified_time(self._record, [str(key) for key in keys])


def modified_time(record: Record, field_ids: Sequence[str]) -> datetime | None:
    """When one of these fields (all, if none is named) was last written; None if never."""
    if not field_ids:
        return record.modified_time
    return max((record.cell_times[key] for key in field_ids if key in record.cell_times), default=None)


class Values:
    """Readers for the fields of one base."""

    def __init__(self, base: Base, users: dict[str, User], now: Callable[[], datetime]) -> None:
        self._base = base
        self._users = users
        self._now = now
        self._schema_revision = base.schema_revision
        self._readers: dict[str, Reader] = {}

    def reader(self, table: Table, field: Field) -> Reader:
        """The function that gives this field's value for a record of the table."""
        if self._schema_revision != self._base.schema_revision:
            self._readers.clear()
            self._schema_revision = self._base.schema_revision
        found = self._readers.get(field.id)
        if found is None:
            found = self._readers[field.id] = self._build(table, field)
        return found

    def primary_text(self, table: Table, record: Record) -> str:
        """The text by which links and formulas call this record."""
        field = table.primary
        if field.type == "singleLineText":
            return str(record.cells.get(field.id, ""))
        return formatting.cell_text(field, self.reader(table, field)(record))

    def filter(self, table: Table, text: str) -> Callable[[Record], bool]:
        """The test a formula stands for; raises the formula package's FormulaError when it is invalid."""
        compiled = self.compile(table, text)
        readers = self._row_readers(table, compiled)
        now = self._now()
        return lambda record: is_truthy(compiled(RowView(record, readers), now))

    def compile(self, table: Table, text: str) -> Compiled:
        """The formula over this table's fields, by name or id."""

        def resolve(name: str) -> str | None:
            field = table.field(name)
            return field.id if field else None

        return compile_formula(parse(text), resolve)

    def linked(self, table: Table, link: Field, record: Record) -> tuple[Table, list[Record]]:
        """The table a link field points to and the records this record is linked with, in order."""
        other = self._base.tables[link.option("linkedTableId")]
        found = (other.records.get(key) for key in record.cells.get(link.id, ()))
        return other, [row for row in found if row is not None]

    def _build(self, table: Table, field: Field) -> Reader:
        if field.type in _DIRECT_TYPES:
            key = field.id
            return lambda record: record.cells.get(key)
        if field.option("isValid") is False:
            return lambda record: None
        if field.type in ("formula", "rollup", "multipleLookupValues"):
            return self._kept(table, field, self._computed(table, field))
        builder = getattr(self, f"_{field.type}", None)
        if builder is None:
            raise KeyError(f"field type {field.type!r} has no reader")
        reader: Reader = builder(table, field)
        return reader

    def _computed(self, table: Table, field: Field) -> Reader:
        """The reader without its memory; one that gives #ERROR! when the field can never be valid."""
        try:
            if field.type == "formula":
                return self._formula(table, field)
            return self._rollup(table, field) if field.type == "rollup" else self._lookup(table, field)
        except (FormulaError, KeyError):
            return lambda record: ERROR

    def _formula(self, table: Table, field: Field) -> Reader:
        compiled = self.compile(table, str(field.option("formula")))
        readers = self._row_readers(table, compiled)
        return lambda record: compiled(RowView(record, readers), self._now())

    def _row_readers(self, table: Table, compiled: Compiled) -> dict[Hashable, Reader]:
        """Readers that look themselves up late, so that a formula may name fields not yet built."""

        def late(key: str) -> Reader:
            return lambda record: self.reader(table, table.fields[key])(record)

        return {key: self._readers.get(str(key)) or late(str(key)) for key in compiled.keys}

    def _gather(self, table: Table, field: Field) -> Reader:
        """The values of the chosen field in all linked records, lists laid flat, blanks left out."""
        link = table.fields[field.option("recordLinkFieldId")]
        other = self._base.tables[link.option("linkedTableId")]
        target = other.fields[field.option("fieldIdInLinkedTable")]

        def gather(record: Record) -> list[Any]:
            read = self.reader(other, target)
            gathered: list[Any] = []
            for row in self.linked(table, link, record)[1]:
                value = read(row)
                gathered.extend(value if isinstance(value, list) else [] if value is None else [value])
            return gathered

        return gather

    def _lookup(self, table: Table, field: Field) -> Reader:
        gather = self._gather(table, field)
        return lambda record: gather(record) or None

    def _rollup(self, table: Table, field: Field) -> Reader:
        compiled = compile_formula(parse(str(field.formula)), lambda name: name if name == ROLLUP_VALUES else None)
        readers: dict[Hashable, Reader] = {ROLLUP_VALUES: self._gather(table, field)}
        return lambda record: compiled(RowView(record, readers), self._now())

    def _kept(self, table: Table, field: Field, compute: Reader) -> Reader:
        """The same reader with its last result kept on the record while nothing behind it changed."""
        try:
            tables, moves = self._sources(table, field, frozenset())
        except _Cycle:
            return lambda record: ERROR
        if moves:
            return compute
        others = [self._base.tables[key] for key in tables]
        era = self._base.schema_revision << 40
        key = field.id

        def read(record: Record) -> Any:
            stamp = era + (sum(other.revision for other in others) if others else record.revision)
            kept = record.computed.get(key)
            if kept is not None and kept[0] == stamp:
                return kept[1]
            value = compute(record)
            record.computed[key] = (stamp, value)
            return value

        return read

    def is_circular(self, table: Table, field: Field) -> bool:
        """Whether the field would be computed from itself."""
        try:
            self._sources(table, field, frozenset())
        except _Cycle:
            return True
        return False

    def sources(self, table: Table, field: Field) -> frozenset[str]:
        """Ids of the tables whose records this field's value depends on, none if only its own record."""
        try:
            return self._sources(table, field, frozenset())[0]
        except _Cycle:
            return frozenset()

    def _sources(self, table: Table, field: Field, path: frozenset[str]) -> tuple[frozenset[str], bool]:
        """Tables a value depends on beyond its own record, and whether it changes by time alone."""
        if field.id in path:
            raise _Cycle
        if field.option("isValid") is False:
            return frozenset(), False
        path |= {field.id}
        if field.type == "multipleRecordLinks":
            other = self._base.tables[field.option("linkedTableId")]
            return self._with({table.id, other.id}, [(other, other.primary)], path)
        if field.type in ("rollup", "multipleLookupValues"):
            link = table.fields[field.option("recordLinkFieldId")]
            other = self._base.tables[link.option("linkedTableId")]
            target = other.fields[field.option("fieldIdInLinkedTable")]
            return self._with({table.id, other.id}, [(other, target)], path)
        if field.type == "formula":
            text = str(field.option("formula"))
            used = [(table, table.fields[str(key)]) for key in self.compile(table, text).keys]
            tables, moves = self._with(set(), used, path)
            return tables | ({table.id} if tables else set()), moves or bool(_MOVES_WITH_TIME.search(text))
        return frozenset(), False

    def _with(
        self, tables: set[str], used: list[tuple[Table, Field]], path: frozenset[str]
    ) -> tuple[frozenset[str], bool]:
        moves = False
        for table, field in used:
            more, by_time = self._sources(table, field, path)
            tables |= more
            moves = moves or by_time
        return frozenset(tables), moves

    def _checkbox(self, table: Table, field: Field) -> Reader:
        return lambda record: record.cells.get(field.id, False)

    def _multipleSelects(self, table: Table, field: Field) -> Reader:
        return lambda record: record.cells.get(field.id)

    def _date(self, table: Table, field: Field) -> Reader:
        def read(record: Record) -> date | None:
            text = record.cells.get(field.id)
            return None if text is None else date.fromisoformat(text)

        return read

    def _dateTime(self, table: Table, field: Field) -> Reader:
        def read(record: Record) -> datetime | None:
            text = record.cells.get(field.id)
            return None if text is None else datetime.fromisoformat(text).astimezone(UTC)

        return read

    def _multipleRecordLinks(self, table: Table, field: Field) -> Reader:
        def read(record: Record) -> list[str] | None:
            if field.id not in record.cells:
                return None
            other, rows = self.linked(table, field, record)
            return [self.primary_text(other, row) for row in rows]

        return read

    def _multipleAttachments(self, table: Table, field: Field) -> Reader:
        return lambda record: [item["filename"] for item in record.cells.get(field.id, ())] or None

    def _barcode(self, table: Table, field: Field) -> Reader:
        return lambda record: record.cells[field.id]["text"] if field.id in record.cells else None

    def _aiText(self, table: Table, field: Field) -> Reader:
        return lambda record: record.cells[field.id]["value"] if field.id in record.cells else None

    def _singleCollaborator(self, table: Table, field: Field) -> Reader:
        return lambda record: self._name(record.cells.get(field.id))

    def _multipleCollaborators(self, table: Table, field: Field) -> Reader:
        return lambda record: [self._name(key) for key in record.cells.get(field.id, ())] or None

    def _createdBy(self, table: Table, field: Field) -> Reader:
        return lambda record: self._name(record.created_by)

    def _lastModifiedBy(self, table: Table, field: Field) -> Reader:
        return lambda record: self._name(record.modified_by)

    def _createdTime(self, table: Table, field: Field) -> Reader:
        return lambda record: record.created_time

    def _lastModifiedTime(self, table: Table, field: Field) -> Reader:
        watched = field.option("referencedFieldIds") or []
        return lambda record: modified_time(record, watched)

    def _autoNumber(self, table: Table, field: Field) -> Reader:
        return lambda record: record.number

    def _count(self, table: Table, field: Field) -> Reader:
        link = field.option("recordLinkFieldId")
        return lambda record: len(record.cells.get(link, ()))

    def _button(self, table: Table, field: Field) -> Reader:
        return lambda record: field.option("label")

    def _name(self, user_id: str | None) -> str | None:
        return self._users[user_id].name if user_id in self._users else None
