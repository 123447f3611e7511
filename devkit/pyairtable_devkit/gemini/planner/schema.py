"""Tables, fields and records as the planner sees them, and finding the one that a request means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pyairtable_devkit.gemini.planner.outcome import AskUser
from pyairtable_devkit.gemini.planner.words import fit, same, stems, with_synonyms

NUMBER_TYPES = {"number", "currency", "percent", "duration", "rating", "count", "autoNumber"}
COMPUTED_TYPES = {
    "formula", "rollup", "count", "lookup", "multipleLookupValues", "autoNumber", "createdTime", "lastModifiedTime",
    "createdBy", "lastModifiedBy", "button", "externalSyncSource", "aiText",
}  # fmt: skip
LINK_TYPES = {"multipleRecordLinks", "foreignKey"}
SELECT_TYPES = {"singleSelect", "multipleSelects"}
DATE_TYPES = {"date", "dateTime"}
_GOOD_ENOUGH = 0.55


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `raw` is what the tool told about it."""

    id: str
    name: str
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """A field: its type as Airtable names it, its choices, the table it links to."""

    name: str
    type: str
    choices: tuple[str, ...] = ()
    linked_table: str = ""
    is_primary: bool = False
    result_type: str = ""

    @property
    def is_number(self) -> bool:
        """Whether its values can be added up."""
        return self.type in NUMBER_TYPES or (self.type in ("formula", "rollup") and self.result_type in NUMBER_TYPES)

    @property
    def is_currency(self) -> bool:
        """Whether its numbers are money."""
        return "currency" in (self.type, self.result_type)

    @property
    def is_computed(self) -> bool:
        """Whether Airtable fills it and nobody else can."""
        return self.type in COMPUTED_TYPES


@dataclass(frozen=True, slots=True)
class Record:
    """One record: id and cell values by field name."""

    id: str
    fields: dict[str, Any]


def read_table(raw: dict[str, Any]) -> Table:
    """A table from a tool's description of it."""
    return Table(str(raw.get("id") or raw["name"]), str(raw["name"]), raw)


def read_fields(raw: Iterable[dict[str, Any]]) -> list[FieldInfo]:
    """Fields from a tool's descriptions; the first is primary unless one says it is."""
    read = [_read_field(item) for item in raw]
    if read and not any(field.is_primary for field in read):
        first = read[0]
        read[0] = FieldInfo(first.name, first.type, first.choices, first.linked_table, True, first.result_type)
    return read


def _read_field(raw: dict[str, Any]) -> FieldInfo:
    options = raw.get("options") if isinstance(raw.get("options"), dict) else {}
    merged: dict[str, Any] = {**(options or {}), **{key: value for key, value in raw.items() if value is not None}}
    choices = merged.get("choices") or ()
    result = merged.get("result") or {}
    return FieldInfo(
        name=str(raw["name"]),
        type=str(raw["type"]),
        choices=tuple(str(item["name"] if isinstance(item, dict) else item) for item in choices),
        linked_table=str(_first(merged, "linkedTableId", "linked_table_id", "linked_table", "linkedTable") or ""),
        is_primary=bool(_first(merged, "is_primary", "isPrimary", "primary")),
        result_type=str(
            (result.get("type") if isinstance(result, dict) else result) or merged.get("result_type") or ""
        ),
    )


def _first(raw: dict[str, Any], *names: str) -> Any:
    return next((raw[name] for name in names if raw.get(name)), None)


def infer_fields(records: Sequence[Record]) -> list[FieldInfo]:
    """Fields guessed from records, for when no tool describes them."""
    types: dict[str, str] = {}
    for record in records:
        for name, value in record.fields.items():
            types.setdefault(name, _type_of(value))
    return [FieldInfo(name, kind, is_primary=index == 0) for index, (name, kind) in enumerate(types.items())]


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "checkbox"
    if isinstance(value, int | float):
        return "number"
    return "multipleSelects" if isinstance(value, list) else "singleLineText"


def primary(fields: Sequence[FieldInfo]) -> FieldInfo:
    """The primary field; AskUser when a table shows no field at all."""
    if not fields:
        raise AskUser("The tools show no field for this table. Which field should I use?")
    return next((field for field in fields if field.is_primary), fields[0])


def find_table(text: str, tables: Sequence[Table]) -> Table | None:
    """The table that a text means best, or None."""
    exact = [table for table in tables if same(table.name, text) or table.id == text.strip()]
    if exact:
        return exact[0]
    plain = set(stems(text))
    ranked = sorted(tables, key=lambda table: _table_fit(table, plain), reverse=True)
    return ranked[0] if ranked and _table_fit(ranked[0], plain) >= _GOOD_ENOUGH else None


def _table_fit(table: Table, words: set[str]) -> float:
    """A word in the text itself counts more than its synonym."""
    return max(fit(table.name, words), 0.7 * fit(table.name, with_synonyms(words)))


def tables_by_fit(words: set[str], tables: Sequence[Table]) -> list[Table]:
    """The tables that have something of the words in their name, best first."""
    return sorted(
        (table for table in tables if _table_fit(table, words) > 0),
        key=lambda table: _table_fit(table, words),
        reverse=True,
    )


def require_table(text: str, tables: Sequence[Table]) -> Table:
    """The table that a text means; AskUser with the names when none fits."""
    found = find_table(text, tables)
    if found is None:
        names = ", ".join(table.name for table in tables) or "none"
        raise AskUser(f"Which table do you mean? The base has: {names}.")
    return found


def find_field(text: str, fields: Sequence[FieldInfo]) -> FieldInfo | None:
    """The field that a text means best, or None."""
    exact = [field for field in fields if same(field.name, text)]
    if exact:
        return exact[0]
    words = with_synonyms(stems(text))
    ranked = sorted(fields, key=lambda field: fit(field.name, words), reverse=True)
    return ranked[0] if ranked and fit(ranked[0].name, words) >= _GOOD_ENOUGH else None


def mentioned_fields(text: str, fields: Sequence[FieldInfo]) -> list[FieldInfo]:
    """The fields whose whole name stands in the text."""
    words = set(stems(text))
    return [field for field in fields if set(stems(field.name)) and set(stems(field.name)) <= words]
