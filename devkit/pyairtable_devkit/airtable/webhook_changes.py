"""What a transaction changed, gathered while it runs, with values from before and after.

Nothing is gathered when no webhook listens. Records whose computed cells follow from a changed
record count as changed too, as with Airtable: a rollup over hours changes when an hour is added.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pyairtable_devkit.airtable.model import COMPUTED_TYPES, Base, Record, Table
from pyairtable_devkit.airtable.render import Renderer
from pyairtable_devkit.airtable.schema_json import field_info, table_info
from pyairtable_devkit.airtable.values import Values

Cells = dict[str, Any]
Views = dict[str, Callable[[Record], bool]]
"""For each view that some webhook watches, the test whether it shows a record."""


@dataclass(slots=True)
class RecordChange:
    """One record: its cells before and after, None where it did not exist, and the views that showed it."""

    table: Table
    record: Record
    before: Cells | None
    views_before: frozenset[str]
    after: Cells | None = None
    views_after: frozenset[str] = frozenset()

    def changed_fields(self) -> list[str]:
        """Ids of fields whose value differs."""
        before, after = self.before or {}, self.after or {}
        return [key for key in self.table.fields if before.get(key) != after.get(key)]


@dataclass(slots=True)
class SchemaChange:
    """One table: its name and description, and its fields' names and types, before and after."""

    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(slots=True)
class Transaction:
    """Everything one action changed in a base."""

    base: Base
    user_id: str
    source: str
    records: list[RecordChange] = field(default_factory=list)
    tables: dict[str, SchemaChange] = field(default_factory=dict)


class Recorder:
    """Watches one transaction; `listening` is false when nobody would read what it gathers."""

    def __init__(
        self,
        base: Base,
        user_id: str,
        source: str,
        *,
        listening: bool,
        renderer: Renderer,
        values: Values,
        views: dict[str, Views],
    ) -> None:
        self.transaction = Transaction(base, user_id, source)
        self.listening = listening
        self._renderer = renderer
        self._values = values
        self._views = views
        self._changes: dict[str, RecordChange] = {}
        self._gone: set[str] = set()

    def before_record(self, table: Table, record: Record) -> None:
        """Keeps the record as it is now, and those computed from it."""
        if not self.listening or record.id in self._changes:
            return
        cells = self._renderer.webhook_cells(table, record)
        self._changes[record.id] = RecordChange(table, record, cells, self._shown_in(table, record))
        for other, row in self._computed_from(table, record):
            self.before_record(other, row)

    def record_created(self, table: Table, record: Record) -> None:
        """Notes a record that was not there before."""
        if self.listening:
            self._changes[record.id] = RecordChange(table, record, None, frozenset())

    def record_deleted(self, table: Table, record: Record) -> None:
        """Notes that the record is gone."""
        self._gone.add(record.id)

    def schema_before(self) -> dict[str, Any]:
        """The tables as they are now, for `schema_after`."""
        if not self.listening:
            return {}
        return {table.id: _shape(table) for table in self.transaction.base.tables.values()}

    def schema_after(self, before: dict[str, Any]) -> None:
        """Notes which tables and fields came, went or changed."""
        if not self.listening:
            return
        after = {table.id: _shape(table) for table in self.transaction.base.tables.values()}
        for key in {**before, **after}:
            if before.get(key) != after.get(key):
                self.transaction.tables[key] = SchemaChange(before.get(key), after.get(key))

    def finish(self) -> Transaction | None:
        """The transaction with all values from after it; None when nothing changed or nobody listens."""
        for change in self._changes.values():
            if change.record.id not in self._gone:
                change.after = self._renderer.webhook_cells(change.table, change.record)
                change.views_after = self._shown_in(change.table, change.record)
        self.transaction.records = [change for change in self._changes.values() if change.before != change.after]
        return self.transaction if self.transaction.records or self.transaction.tables else None

    def _shown_in(self, table: Table, record: Record) -> frozenset[str]:
        tests = self._views.get(table.id, {})
        return frozenset(key for key, shows in tests.items() if shows(record))

    def _computed_from(self, table: Table, record: Record) -> list[tuple[Table, Record]]:
        """Linked records in tables that compute something from this table."""
        found: list[tuple[Table, Record]] = []
        for link in table.fields.values():
            if link.type != "multipleRecordLinks" or link.id not in record.cells:
                continue
            other, rows = self._values.linked(table, link, record)
            if other is not table and self._computes_from(other, table):
                found += [(other, row) for row in rows]
        return found

    def _computes_from(self, other: Table, table: Table) -> bool:
        return any(
            target.type in COMPUTED_TYPES and table.id in self._values.sources(other, target)
            for target in other.fields.values()
        )


def _shape(table: Table) -> dict[str, Any]:
    return {"metadata": table_info(table), "fields": {key: field_info(item) for key, item in table.fields.items()}}
