"""What must change so that one table has the rows of another: from two sets of rows to a plan that can be undone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .model import Json
from .ports import Row, TableSchema, Written

TEXTS = frozenset({"singleLineText", "multilineText", "richText", "email", "url", "phoneNumber"})
AS_THEY_ARE = frozenset(
    {"number", "percent", "currency", "duration", "rating", "checkbox", "date", "dateTime"}
    | {"singleSelect", "multipleSelects"}
)
"""Types whose cells a field of the same type takes unchanged (Airtable docs: field types and cell values)."""

RESTORABLE = TEXTS | AS_THEY_ARE | {"multipleRecordLinks", "barcode"}
"""Types whose cells a row that was deleted gets back when it is made anew; files and people do not come back."""


@dataclass
class Plan:
    """Rows to create ({after}), update ({id, before, after}) and delete ({id, before}); cells by field name."""

    create: list[Json] = field(default_factory=list)
    update: list[Json] = field(default_factory=list)
    delete: list[Json] = field(default_factory=list)
    unchanged: int = 0

    @property
    def changes(self) -> int:
        return len(self.create) + len(self.update) + len(self.delete)

    def to_json(self) -> Json:
        return {"plan": asdict(self)}

    @staticmethod
    def from_json(kept: Json) -> Plan:
        return Plan(**kept)


def pair_fields(source: TableSchema, target: TableSchema, wanted: set[str] | None) -> tuple[list[str], list[str]]:
    """Names of the fields that are copied, and of those of the source that cannot be."""
    types = {item.name: item.type for item in target.fields}
    copied: list[str] = []
    skipped: list[str] = []
    for item in source.fields:
        if wanted is not None and item.name not in wanted:
            continue
        (copied if _fits(item.type, types.get(item.name, "")) else skipped).append(item.name)
    return copied, skipped


def restorable_fields(table: TableSchema) -> list[str]:
    """Names of the fields that a deleted row can be given again."""
    return [item.name for item in table.fields if item.type in RESTORABLE]


def plan_rows(
    source: Sequence[Row], target: Sequence[Row], key: str, names: Sequence[str], *, allow_delete: bool
) -> Plan:
    """Match rows by key. Rows whose key is empty, or stands twice on either side, are left alone."""
    plan = Plan()
    ambiguous = _repeated(source, key) | _repeated(target, key)
    wanted = {_key(row, key): row for row in source}
    present = {_key(row, key): row for row in target}
    for value, row in wanted.items():
        if value is None or value in ambiguous:
            continue
        existing = present.get(value)
        if existing is None:
            plan.create.append({"after": {name: row.cells[name] for name in names if name in row.cells}})
        elif changed := [name for name in names if not _same(row.cells.get(name), existing.cells.get(name))]:
            before = {name: existing.cells.get(name) for name in changed}
            plan.update.append(
                {"id": existing.id, "before": before, "after": {name: row.cells.get(name) for name in changed}}
            )
        else:
            plan.unchanged += 1
    if allow_delete:
        gone = [row for value, row in present.items() if value is not None and value not in ambiguous | wanted.keys()]
        plan.delete = [{"id": row.id, "before": row.cells} for row in gone]
    return plan


def to_put_back(
    kind: str, rows: Sequence[Json], outcomes: Sequence[Written], present: Sequence[Row], key: str
) -> list[Json]:
    """What undoes the changes of a chunk, given the rows that are there now: {id, cells} of rows to be changed, {id} of
    rows to be deleted, {cells} of rows to be made. Whatever is as it was already, or is gone, is left out.
    """
    ids, found = {row.id for row in present}, {_key(row, key): row.id for row in present}
    doubtful = ("unknown", {"update": "updated", "create": "created", "delete": "deleted"}[kind])
    changed = [(row, outcome) for row, outcome in zip(rows, outcomes, strict=True) if outcome.state in doubtful]
    if kind == "update":
        return [{"id": row["id"], "cells": row["before"]} for row, _ in changed if row["id"] in ids]
    if kind == "create":
        # No row had the key when the plan was made.
        made = [outcome.record_id or found.get(_key(Row("", row["after"]), key), "") for row, outcome in changed]
        return [{"id": record_id} for record_id in made if record_id in ids]
    gone = [row for row, _ in changed if row["id"] not in ids and _key(Row("", row["before"]), key) not in found]
    return [{"cells": row["before"]} for row in gone]


def _fits(given: str, taken: str) -> bool:
    return (given in TEXTS and taken in TEXTS) or (given == taken and given in AS_THEY_ARE)


def _repeated(rows: Sequence[Row], key: str) -> set[Any]:
    counts = Counter(_key(row, key) for row in rows)
    return {value for value, count in counts.items() if value is not None and count > 1}


def _key(row: Row, key: str) -> Any:
    """What a row is matched by: text without the blanks around it; None for an empty cell."""
    value = row.cells.get(key)
    if isinstance(value, str):
        return value.strip() or None
    return tuple(value) if isinstance(value, list) else value


def _same(given: Any, present: Any) -> bool:
    if isinstance(given, str) and isinstance(present, str):
        return given.rstrip("\n") == present.rstrip("\n")  # Airtable ends rich text with a line break of its own
    return bool((given or None) == (present or None)) or given == present
