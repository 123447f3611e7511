"""Questions that fit any base, for the demo with real credentials: reads, and writes when they are asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyairtable_devkit.demo.platform import Turn
from pyairtable_devkit.demo.questions import ListTables, Question, Sources, require

_PLAIN_TEXT = ("singleLineText", "multilineText")


def questions(tables: Sequence[Mapping[str, Any]], *, write: bool, mark: str) -> list[Question]:
    """Return the questions for a base with these tables (Airtable's schema); mark makes a new record unique."""
    asked: list[Question] = [ListTables(), DescribeTable(tables[0])] if tables else [ListTables()]
    table = next((table for table in tables if _primary(table)["type"] in _PLAIN_TEXT), None)
    if write and table:
        first, second = f"PyAirtable demo {mark}", f"PyAirtable demo {mark}, changed"
        asked += [CreateRecord(table, first), RenameRecord(table, first, second)]
    return asked


class DescribeTable(Question):
    """The fields of one table, each of which must be in the answer."""

    title = "Describe a table"

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._fields = [field["name"] for field in table["fields"]]
        self.text = f"Which fields does the table '{table['name']}' have?"

    def check(self, turn: Turn, sources: Sources) -> str:
        missing = [name for name in self._fields if name not in turn.answer]
        require(not missing, f"the answer leaves out {', '.join(missing)}")
        return f"all {len(self._fields)} fields are in the answer"


class CreateRecord(Question):
    """A record with a value in its primary field that no other has."""

    title = "Create a record"

    def __init__(self, table: Mapping[str, Any], value: str) -> None:
        self._table, self._field, self._value = table["name"], _primary(table)["name"], value
        self.text = f"Create a record in the table '{self._table}' with '{self._field}' set to '{value}'"

    def check(self, turn: Turn, sources: Sources) -> str:
        count = len(sources.airtable.records(self._table, equals(self._field, self._value)))
        require(count == 1, f"{count} records have {self._value!r}, not one")
        return f"Airtable has one record {self._value!r} in {self._table}"


class RenameRecord(Question):
    """That record changed: the old value is gone, the new one there once."""

    title = "Find and update a record"

    def __init__(self, table: Mapping[str, Any], old: str, new: str) -> None:
        self._table, self._field = table["name"], _primary(table)["name"]
        self._old, self._new = old, new
        self.text = f"In the table '{self._table}', change '{self._field}' of the record '{old}' to '{new}'"

    def check(self, turn: Turn, sources: Sources) -> str:
        counts = [
            len(sources.airtable.records(self._table, equals(self._field, value))) for value in (self._old, self._new)
        ]
        require(counts == [0, 1], f"{counts[0]} records have the old value and {counts[1]} the new one")
        return f"Airtable has it as {self._new!r}; it stays in {self._table}"


def equals(field: str, value: str) -> str:
    """Return the Airtable formula that selects records by one field's text."""
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{{{field.replace('}', chr(92) + '}')}}} = '{quoted}'"


def _primary(table: Mapping[str, Any]) -> Mapping[str, Any]:
    fields: Sequence[Mapping[str, Any]] = table["fields"]
    return next(field for field in fields if field["id"] == table["primaryFieldId"])
