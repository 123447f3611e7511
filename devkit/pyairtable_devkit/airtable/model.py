"""The data the emulator holds: bases, tables, fields, views, records and the people who use them.

Cells are kept by field id in stored form: text, number, True, a choice name, a user id, an ISO date,
a list of record ids, a list of attachments. An absent key is an empty cell.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Cells = dict[str, Any]

TEXT_TYPES = frozenset({"singleLineText", "multilineText", "richText", "email", "url", "phoneNumber"})
NUMBER_TYPES = frozenset({"number", "percent", "currency", "duration"})
SELECT_TYPES = frozenset({"singleSelect", "multipleSelects"})
DATE_TYPES = frozenset({"date", "dateTime"})

COMPUTED_TYPES = frozenset(
    {
        "aiText",
        "autoNumber",
        "button",
        "count",
        "createdBy",
        "createdTime",
        "externalSyncSource",
        "formula",
        "lastModifiedBy",
        "lastModifiedTime",
        "multipleLookupValues",
        "rollup",
    }
)
"""Never writable through the API (Airtable docs: field model)."""

GIVEN_TYPES = frozenset({"aiText", "externalSyncSource"})
"""Refused to writers like computed ones, but their content comes from the seed."""


@dataclass(slots=True)
class User:
    """A person or service account."""

    id: str
    email: str
    name: str

    def as_collaborator(self) -> dict[str, str]:
        """The collaborator object of REST answers."""
        return {"id": self.id, "email": self.email, "name": self.name}


@dataclass(slots=True)
class Field:
    """A column. `options` is what the schema shows; `formula` the aggregation of a rollup, which it does not."""

    id: str
    name: str
    type: str
    options: dict[str, Any] | None = None
    description: str | None = None
    formula: str | None = None

    @property
    def is_computed(self) -> bool:
        """Whether writes to it are refused."""
        return self.type in COMPUTED_TYPES

    def option(self, name: str) -> Any:
        """One of the options, None if it has none of that name."""
        return None if self.options is None else self.options.get(name)


@dataclass(slots=True)
class View:
    """A saved filter and order over a table; `hidden` are field ids that the grid does not show."""

    id: str
    name: str
    type: str = "grid"
    formula: str | None = None
    sort: list[tuple[str, str]] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Comment:
    """A comment on a record."""

    id: str
    author_id: str
    text: str
    created_time: datetime
    last_updated_time: datetime | None = None
    parent_id: str | None = None


@dataclass(slots=True)
class Record:
    """A row. `revision` grows with each change; `computed` keeps computed cells until it does."""

    id: str
    created_time: datetime
    created_by: str
    number: int
    cells: Cells
    modified_time: datetime
    modified_by: str
    cell_times: dict[str, datetime] = field(default_factory=dict)
    comments: list[Comment] = field(default_factory=list)
    revision: int = 0
    computed: dict[str, tuple[int, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Table:
    """A table: fields and records by id, in order. `revision` grows with each change of its records."""

    id: str
    name: str
    primary_id: str
    fields: dict[str, Field] = field(default_factory=dict)
    views: list[View] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    description: str | None = None
    date_dependency: dict[str, Any] | None = None
    next_number: int = 1
    revision: int = 0

    @property
    def primary(self) -> Field:
        """The primary field, whose text stands for the record in links."""
        return self.fields[self.primary_id]

    def field(self, name_or_id: str) -> Field | None:
        """The field with this id or, case matters, this name."""
        found = self.fields.get(name_or_id)
        if found is None:
            found = next((field for field in self.fields.values() if field.name == name_or_id), None)
        return found

    def view(self, name_or_id: str) -> View | None:
        """The view with this id or name."""
        return next((view for view in self.views if name_or_id in (view.id, view.name)), None)


@dataclass(slots=True)
class Base:
    """A base: tables by id, and how often schema and data changed."""

    id: str
    name: str
    workspace_id: str
    tables: dict[str, Table] = field(default_factory=dict)
    schema_revision: int = 0
    transactions: int = 0

    def table(self, name_or_id: str) -> Table | None:
        """The table with this id or name."""
        found = self.tables.get(name_or_id)
        if found is None:
            found = next((table for table in self.tables.values() if table.name == name_or_id), None)
        return found
