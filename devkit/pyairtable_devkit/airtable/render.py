"""Records as JSON: the REST shape of each cell, as values or as text, by field name or id."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from math import isinf, isnan
from typing import Any

from pyairtable_devkit.airtable import formatting
from pyairtable_devkit.airtable.clock import to_iso
from pyairtable_devkit.airtable.model import (
    DATE_TYPES,
    NUMBER_TYPES,
    SELECT_TYPES,
    TEXT_TYPES,
    Base,
    Field,
    Record,
    Table,
    User,
)
from pyairtable_devkit.airtable.values import Reader, Values

_STORED_AS_SHOWN = (
    TEXT_TYPES
    | NUMBER_TYPES
    | SELECT_TYPES
    | DATE_TYPES
    | {"rating", "checkbox", "multipleRecordLinks", "barcode", "aiText", "externalSyncSource"}
)

LinkMaker = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Shape:
    """How a caller wants records (Airtable docs: cellFormat, returnFieldsByFieldId, fields, recordMetadata)."""

    by_id: bool = False
    as_text: bool = False
    time_zone: str = "UTC"
    locale: str = "en-us"
    fields: tuple[str, ...] | None = None
    comment_count: bool = False
    link_objects: bool = False


DEFAULT_SHAPE = Shape()


class Renderer:
    """Turns records of one base into JSON; `attachment` gives a stored attachment its links."""

    def __init__(self, base: Base, values: Values, users: dict[str, User], attachment: LinkMaker) -> None:
        self._base = base
        self._values = values
        self._users = users
        self._attachment = attachment

    def records(self, table: Table, rows: list[Record], shape: Shape = DEFAULT_SHAPE) -> list[dict[str, Any]]:
        """The records in the given shape; empty cells are left out."""
        fields = [field for field in table.fields.values() if shape.fields is None or field.id in shape.fields]
        direct = [
            (field.id, field.id if shape.by_id else field.name, self._cell_reader(table, field, shape))
            for field in fields
        ]
        return [self._record(row, direct, shape) for row in rows]

    def record(self, table: Table, row: Record, shape: Shape = DEFAULT_SHAPE) -> dict[str, Any]:
        """One record in the given shape."""
        return self.records(table, [row], shape)[0]

    def cells(self, table: Table, row: Record) -> dict[str, Any]:
        """All non-empty cells of a record by field id, in the REST shape."""
        cells: dict[str, Any] = self.record(table, row, Shape(by_id=True))["fields"]
        return cells

    def webhook_cells(self, table: Table, row: Record) -> dict[str, Any]:
        """The same in the shape of webhook payloads: choices and links as objects (Airtable docs: cell V2)."""
        cells = self.cells(table, row)
        return {key: self._as_object(table, table.fields[key], row, value) for key, value in cells.items()}

    def _as_object(self, table: Table, field: Field, row: Record, value: Any) -> Any:
        if field.type in ("singleSelect", "externalSyncSource"):
            return self._choice(field, value)
        if field.type == "multipleSelects":
            return [self._choice(field, name) for name in value]
        if field.type == "multipleRecordLinks":
            other, rows = self._values.linked(table, field, row)
            return [{"id": linked.id, "name": self._values.primary_text(other, linked)} for linked in rows]
        if field.type == "multipleLookupValues":
            return self._lookup_by_record(table, field, row)
        return value

    def _choice(self, field: Field, name: str) -> dict[str, Any]:
        return next((dict(choice) for choice in field.option("choices") if choice["name"] == name), {"name": name})

    def _lookup_by_record(self, table: Table, field: Field, row: Record) -> dict[str, Any]:
        link = table.fields[field.option("recordLinkFieldId")]
        other, rows = self._values.linked(table, link, row)
        target = other.fields[field.option("fieldIdInLinkedTable")]
        read = self.cell_reader(other, target)
        found = {linked.id: linked.cells.get(target.id) if read is None else read(linked) for linked in rows}
        return {
            "linkedRecordIds": list(found),
            "valuesByLinkedRecordId": {
                key: value if isinstance(value, list) else [] if value is None else [value]
                for key, value in found.items()
            },
        }

    def _record(self, row: Record, plan: list[tuple[str, str, Reader | None]], shape: Shape) -> dict[str, Any]:
        cells = row.cells
        shown = {}
        for field_id, key, read in plan:
            value = cells.get(field_id) if read is None else read(row)
            if value is not None and value is not False and value != "" and value != []:
                shown[key] = value
        record: dict[str, Any] = {"id": row.id, "createdTime": to_iso(row.created_time), "fields": shown}
        if shape.comment_count:
            record["commentCount"] = len(row.comments)
        return record

    def _cell_reader(self, table: Table, field: Field, shape: Shape) -> Reader | None:
        """How to get the shown cell, None when it is the stored one."""
        if shape.as_text:
            read = self._values.reader(table, field)
            return lambda row: formatting.cell_text(field, read(row), shape.time_zone, shape.locale)
        if field.type == "multipleRecordLinks" and shape.link_objects:
            return lambda row: [{"id": key} for key in row.cells.get(field.id, ())]
        return self.cell_reader(table, field)

    def cell_reader(self, table: Table, field: Field) -> Reader | None:
        """How to get a cell in its plain REST shape, None when it is the stored one."""
        kind, key = field.type, field.id
        if kind in _STORED_AS_SHOWN:
            return None
        if kind == "multipleAttachments":
            return lambda row: [self._attachment(item) for item in row.cells.get(key, ())]
        if kind in ("singleCollaborator", "multipleCollaborators"):
            return lambda row: self._people(row.cells.get(key))
        if kind == "createdBy":
            return lambda row: self._people(row.created_by)
        if kind == "lastModifiedBy":
            return lambda row: self._people(row.modified_by)
        if kind == "button":
            return lambda row: {"label": field.option("label") or "Open", "url": field.option("url")}
        if kind == "multipleLookupValues" and field.option("isValid"):
            return self._lookup(table, field)
        read = self._values.reader(table, field)
        return lambda row: json_value(read(row))

    def _people(self, ids: Any) -> Any:
        if isinstance(ids, list):
            return [self._users[key].as_collaborator() for key in ids]
        return None if ids is None else self._users[ids].as_collaborator()

    def _lookup(self, table: Table, field: Field) -> Reader:
        """A list of the cells looked up; lists inside are laid flat, as Airtable does."""
        link = table.fields[field.option("recordLinkFieldId")]
        other = self._base.tables[link.option("linkedTableId")]
        target = other.fields[field.option("fieldIdInLinkedTable")]
        read = self.cell_reader(other, target)

        def gather(row: Record) -> list[Any]:
            found: list[Any] = []
            for linked in self._values.linked(table, link, row)[1]:
                value = linked.cells.get(target.id) if read is None else read(linked)
                found.extend(value if isinstance(value, list) else [] if value is None else [value])
            return found

        return gather


def json_value(value: Any) -> Any:
    """A computed value as JSON; what JSON cannot hold becomes Airtable's special objects."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if isnan(value):
            return {"specialValue": "NaN"}
        if isinf(value):
            return {"specialValue": "Infinity" if value > 0 else "-Infinity"}
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, datetime):
        return to_iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [json_value(item) for item in value]
    return {"error": "#ERROR!"}
