"""What must change so that one table has the rows of another. Pure: from two schemas and two sets of rows to a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .comparing import cell_key
from .model import Field, Record, RowUpdate
from .sync_fields import FieldPair


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that takes no part, and why."""

    table: Literal["source", "target"]
    record_id: str
    key: str
    reason: str


@dataclass(slots=True)
class SyncPlan:
    """The changes to the target. `unchanged` counts rows that need none."""

    create: list[dict[str, Any]] = field(default_factory=list)
    update: list[RowUpdate] = field(default_factory=list)
    delete: list[Record] = field(default_factory=list)
    unchanged: int = 0
    skipped: list[SkippedRow] = field(default_factory=list)


def plan_sync(
    source: Sequence[Record], target: Sequence[Record], key: FieldPair, pairs: Sequence[FieldPair], *, typecast: bool
) -> SyncPlan:
    """Match rows by key; a key that is empty or stands twice matches nothing and its rows are left alone."""
    plan = SyncPlan()
    wanted = _by_key(source, key.source, "source", plan)
    present = _by_key(target, key.target, "target", plan)
    # Rows whose key is ambiguous on either side are neither updated, nor deleted, nor created a second time.
    ambiguous = _repeated(source, key.source) | _repeated(target, key.target)
    for value, record in wanted.items():
        if value in ambiguous:
            continue
        if problem := _problem(record, pairs, typecast=typecast):
            plan.skipped.append(SkippedRow("source", record.id, _shown(record, key.source), problem))
        elif (existing := present.get(value)) is None:
            plan.create.append(_new_cells(record, pairs))
        elif changes := _changes(record, existing, pairs):
            plan.update.append(RowUpdate(existing.id, changes))
        else:
            plan.unchanged += 1
    plan.delete = [record for value, record in present.items() if value not in wanted and value not in ambiguous]
    return plan


def _by_key(
    records: Sequence[Record], key: Field, table: Literal["source", "target"], plan: SyncPlan
) -> dict[Any, Record]:
    """Rows by key, the unusable ones noted in the plan."""
    repeated = _repeated(records, key)
    found: dict[Any, Record] = {}
    for record in records:
        value = cell_key(record.fields.get(key.name), key)
        if value is None:
            plan.skipped.append(SkippedRow(table, record.id, "", f"{key.name} is empty"))
        elif value in repeated:
            shown = _shown(record, key)
            plan.skipped.append(SkippedRow(table, record.id, shown, f"{key.name} {shown!r} stands more than once"))
        if value is not None:
            found[value] = record
    return found


def _repeated(records: Sequence[Record], key: Field) -> set[Any]:
    counts = Counter(cell_key(record.fields.get(key.name), key) for record in records)
    return {value for value, count in counts.items() if value is not None and count > 1}


def _problem(record: Record, pairs: Sequence[FieldPair], *, typecast: bool) -> str:
    """Why the row cannot be written as it is; empty when it can."""
    if typecast:
        return ""
    missing = [text for pair in pairs if (text := pair.missing_choice(record.fields.get(pair.source.name)))]
    return "; ".join(missing)


def _new_cells(record: Record, pairs: Sequence[FieldPair]) -> dict[str, Any]:
    cells = {pair.target.name: pair.convert(record.fields.get(pair.source.name)) for pair in pairs}
    return {name: value for name, value in cells.items() if value is not None}


def _changes(record: Record, existing: Record, pairs: Sequence[FieldPair]) -> dict[str, Any]:
    """Cells of the existing row that differ; a cell that is empty in the source is cleared."""
    return {
        pair.target.name: pair.convert(record.fields.get(pair.source.name))
        for pair in pairs
        if not pair.same(record.fields.get(pair.source.name), existing.fields.get(pair.target.name))
    }


def _shown(record: Record, key: Field) -> str:
    return str(record.fields.get(key.name, ""))[:100]
