"""What a sync would change or has changed, as its caller sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field as Described

from .model import RowOutcome, Table
from .sync_fields import FieldPair, SkippedField
from .sync_plan import SyncPlan
from .tool import Result
from .writes import RowResult, WriteCounts

Action = Literal["create", "update", "delete"]

_SAMPLE = 5
_MAX_LISTED = 100


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two tables compared: how their fields and rows belong together, and the plan that follows."""

    source: Table
    target: Table
    key: FieldPair
    pairs: list[FieldPair]
    skipped: list[SkippedField]
    plan: SyncPlan
    deletions: list[str]
    """Ids to delete; empty when the caller did not allow it."""

    @property
    def changes(self) -> int:
        return len(self.plan.create) + len(self.plan.update) + len(self.deletions)


class SkippedFieldInfo(Result):
    field: str
    reason: str


class SkippedRowInfo(Result):
    table: Literal["source", "target"]
    record_id: str
    key: str
    reason: str


class PlannedUpdate(Result):
    record_id: str
    changes: dict[str, Any] = Described(description="New cells by field name; null clears.")


class PlannedDelete(Result):
    record_id: str
    key: str


class FailedRow(Result):
    action: Action
    row: RowResult


class SyncReport(Result):
    dry_run: bool
    source_table: str
    target_table: str
    key_field: str
    synced_fields: list[str]
    skipped_fields: list[SkippedFieldInfo] = Described(description="Fields that cannot be copied, and why.")
    to_create: int
    to_update: int
    to_delete: int = Described(description="Target rows that the source does not have.")
    delete_allowed: bool
    unchanged: int
    skipped_rows: int = Described(description="Rows that take no part; the first hundred are listed.")
    skipped: list[SkippedRowInfo]
    sample_create: list[dict[str, Any]] = Described(description="The first five.")
    sample_update: list[PlannedUpdate]
    sample_delete: list[PlannedDelete]
    applied: WriteCounts | None = Described(default=None, description="What was done; null for a dry run.")
    complete: bool = Described(description="True when nothing is left to do; false for a dry run with changes.")
    errors: list[FailedRow] = Described(description="Rows that were not written, the first hundred.")


def report(found: Comparison, outcomes: dict[Action, list[RowOutcome]] | None, *, delete_allowed: bool) -> SyncReport:
    """The report; `outcomes` is None for a dry run."""
    plan = found.plan
    failed = [
        FailedRow(action=action, row=RowResult.of(outcome))
        for action, rows in (outcomes or {}).items()
        for outcome in rows
        if not outcome.done
    ]
    return SyncReport(
        dry_run=outcomes is None,
        source_table=found.source.name,
        target_table=found.target.name,
        key_field=found.key.source.name,
        synced_fields=[pair.target.name for pair in found.pairs],
        skipped_fields=[SkippedFieldInfo(field=item.field, reason=item.reason) for item in found.skipped],
        to_create=len(plan.create),
        to_update=len(plan.update),
        to_delete=len(plan.delete),
        delete_allowed=delete_allowed,
        unchanged=plan.unchanged,
        skipped_rows=len(plan.skipped),
        skipped=[
            SkippedRowInfo(table=row.table, record_id=row.record_id, key=row.key, reason=row.reason)
            for row in plan.skipped[:_MAX_LISTED]
        ],
        sample_create=plan.create[:_SAMPLE],
        sample_update=[PlannedUpdate(record_id=row.id, changes=row.fields) for row in plan.update[:_SAMPLE]],
        sample_delete=[
            PlannedDelete(record_id=record.id, key=str(record.fields.get(found.key.target.name, "")))
            for record in plan.delete[:_SAMPLE]
        ],
        applied=None if outcomes is None else WriteCounts.of([row for rows in outcomes.values() for row in rows]),
        complete=not failed and (found.changes == 0 or outcomes is not None),
        errors=failed[:_MAX_LISTED],
    )
