"""What a metadata table says of each table: its columns as Airtable wants them, and a row. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .cells import is_number
from .lookup import match
from .model import NewField, Record, Table

TABLE_ID = "Table ID"
UPDATED_AT = "Updated At"

_PURPOSES: dict[str, tuple[str, ...]] = {
    "People and contacts": (
        "contact",
        "customer",
        "client",
        "person",
        "people",
        "employee",
        "team",
        "supplier",
        "user",
    ),
    "Projects and tasks": ("project", "task", "milestone", "todo", "ticket", "issue", "sprint"),
    "Money": ("invoice", "expense", "payment", "budget", "cost", "order", "sale", "price", "quote"),
    "Time": ("hour", "time", "calendar", "event", "schedule", "shift", "booking", "appointment"),
    "Products and stock": ("product", "inventory", "stock", "item", "material", "part", "asset"),
    "Content and marketing": ("post", "content", "campaign", "article", "social", "blog", "media", "newsletter"),
    "Documents and files": ("document", "file", "contract", "photo", "attachment", "report"),
}
OTHER_PURPOSE = "Other"

COLUMNS: tuple[NewField, ...] = (
    NewField(TABLE_ID, "singleLineText", "Airtable's id of the table that this row describes"),
    NewField("Table Name", "singleLineText"),
    NewField("Description", "multilineText"),
    NewField("Field Count", "number", options={"precision": 0}),
    NewField("View Count", "number", options={"precision": 0}),
    NewField("Field Types", "multilineText", "How many fields there are of each type"),
    NewField("Main Fields", "singleLineText", "The first three fields"),
    NewField(
        "Purpose",
        "singleSelect",
        "Guessed from the names",
        {"choices": [{"name": name} for name in (*_PURPOSES, OTHER_PURPOSE)]},
    ),
    NewField("Improvements", "multilineText", "For notes; never overwritten by create_metadata_table"),
    NewField(
        UPDATED_AT,
        "dateTime",
        "When this row last changed",
        {"timeZone": "utc", "dateFormat": {"name": "iso"}, "timeFormat": {"name": "24hour"}},
    ),
)
"""The columns; the first is the primary one, which makes the row of a table findable."""

_ACCEPTED: dict[str, frozenset[str]] = {
    "singleLineText": frozenset({"singleLineText", "multilineText", "richText"}),
    "multilineText": frozenset({"singleLineText", "multilineText", "richText"}),
    "number": frozenset({"number"}),
    "singleSelect": frozenset({"singleSelect", "singleLineText", "multilineText"}),
    "dateTime": frozenset({"dateTime"}),
}


def is_metadata_table(table: Table) -> bool:
    """Whether the table is one of ours: without the key column its rows describe something else."""
    return match(table.fields, TABLE_ID) is not None


def missing_columns(table: Table) -> list[NewField]:
    """The columns that the table does not have yet."""
    return [column for column in COLUMNS if match(table.fields, column.name) is None]


def unfit_columns(table: Table) -> list[str]:
    """Sentences about columns that are there with a type that cannot take our values."""
    found = [(column, match(table.fields, column.name)) for column in COLUMNS]
    return [
        f"{field.name} is {field.type} and should be {column.type}"
        for column, field in found
        if field is not None and field.type not in _ACCEPTED[column.type]
    ]


def describe(table: Table) -> dict[str, Any]:
    """The row of a table, but for the time."""
    types = Counter(field.type for field in table.fields)
    return {
        TABLE_ID: table.id,
        "Table Name": table.name,
        "Description": table.description,
        "Field Count": len(table.fields),
        "View Count": len(table.views),
        "Field Types": "\n".join(f"{name}: {count}" for name, count in sorted(types.items())),
        "Main Fields": ", ".join(field.name for field in table.fields[:3]),
        "Purpose": guess_purpose(table),
    }


def guess_purpose(table: Table) -> str:
    """The class whose words stand in the table's name, else in its field names most often."""
    for words in (table.name.casefold(), " ".join(field.name for field in table.fields).casefold()):
        scores = {purpose: sum(words.count(word) for word in known) for purpose, known in _PURPOSES.items()}
        best = max(scores, key=lambda purpose: scores[purpose])
        if scores[best]:
            return best
    return OTHER_PURPOSE


def is_current(row: dict[str, Any], record: Record, names: dict[str, str]) -> bool:
    """True when the record already says what the row says; `names` are the columns as they are called there."""
    return all(_same(value, record.fields.get(names[column])) for column, value in row.items())


def _same(wanted: Any, present: Any) -> bool:
    if is_number(wanted):
        # Airtable leaves out empty cells, but a zero is a value.
        return is_number(present) and float(wanted) == float(present)
    return (wanted or "") == (present or "").rstrip("\n") if isinstance(present, str | None) else wanted == present
