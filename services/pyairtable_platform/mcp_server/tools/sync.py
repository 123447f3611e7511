"""Giving one table the rows of another: sync_tables."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from pydantic import Field as Described

from pyairtable_platform.common.errors import FailedPrecondition, InvalidInput, PyAirtableError
from pyairtable_platform.mcp_server.cells import kind_of
from pyairtable_platform.mcp_server.lookup import find_field, find_fields, find_table
from pyairtable_platform.mcp_server.model import Record, RecordQuery, RowOutcome, Table, TableRef, WriteOptions
from pyairtable_platform.mcp_server.reading import each_record
from pyairtable_platform.mcp_server.sync_fields import FieldPair, mismatch, pair_fields
from pyairtable_platform.mcp_server.sync_plan import plan_sync
from pyairtable_platform.mcp_server.sync_report import Action, Comparison, SyncReport, report
from pyairtable_platform.mcp_server.tool import Access, Arguments, Tool, ToolContext
from pyairtable_platform.mcp_server.writes import failed_as_a_whole, require_some


class SyncTables(Arguments):
    source_base_id: str = Described(
        default="", max_length=255, description="Base of the source; empty is the workspace's default base."
    )
    source_table_id: str = Described(min_length=1, max_length=255, description="Id or name of the table to copy from.")
    target_base_id: str = Described(
        default="", max_length=255, description="Base of the target; empty is the workspace's default base."
    )
    target_table_id: str = Described(min_length=1, max_length=255, description="Id or name of the table to change.")
    key_field: str = Described(
        min_length=1, max_length=255, description="Field, in both tables, that tells which rows belong together."
    )
    dry_run: bool = Described(default=True, description="True only tells what would change; false changes it.")
    fields: list[str] = Described(
        default=[], max_length=500, description="Source fields to copy; empty is all that fit. The key always is."
    )
    allow_delete: bool = Described(
        default=False, description="Delete target rows that the source does not have; false leaves them."
    )
    max_changes: int = Described(
        default=1000, ge=1, le=50_000, description="Refuse to apply a plan with more changes than this."
    )
    typecast: bool = Described(default=False, description="Let Airtable create choices that the target does not have.")


async def sync_tables(context: ToolContext, arguments: SyncTables) -> SyncReport:
    target, found = await compare(context, arguments)
    if arguments.dry_run:
        return report(found, None, delete_allowed=arguments.allow_delete)
    if found.changes > arguments.max_changes:
        raise FailedPrecondition(
            f"the plan holds {found.changes} changes, more than max_changes ({arguments.max_changes}): "
            "nothing was written; look at a dry run, then raise max_changes"
        )
    outcomes = await apply(context, target, found, typecast=arguments.typecast)
    return report(found, outcomes, delete_allowed=arguments.allow_delete)


async def compare(context: ToolContext, arguments: SyncTables) -> tuple[TableRef, Comparison]:
    """Read both tables and plan."""
    source_ref, source = await _table(context, arguments.source_base_id, arguments.source_table_id, "source_table_id")
    target_ref, target = await _table(context, arguments.target_base_id, arguments.target_table_id, "target_table_id")
    if source.id == target.id:
        raise InvalidInput.at("target_table_id", "is the source table: name another one")
    key = key_pair(source, target, arguments.key_field)
    only = {field.id for field in find_fields(source, arguments.fields)}
    pairs, skipped = pair_fields(source, target, only=frozenset(only | {key.source.id} if only else ()))
    plan = plan_sync(
        await _rows(context, source_ref, [pair.source.id for pair in pairs]),
        await _rows(context, target_ref, [pair.target.id for pair in pairs]),
        key,
        pairs,
        typecast=arguments.typecast,
    )
    deletions = [record.id for record in plan.delete] if arguments.allow_delete else []
    return target_ref, Comparison(source, target, key, pairs, skipped, plan, deletions)


async def apply(
    context: ToolContext, target: TableRef, found: Comparison, *, typecast: bool
) -> dict[Action, list[RowOutcome]]:
    """Carry the plan out: updates, then new rows, then deletions, so that a failure midway loses nothing."""
    gateway, plan, deletions = context.gateway, found.plan, found.deletions
    outcomes: dict[Action, list[RowOutcome]] = {}
    if plan.update:
        options = WriteOptions(typecast, context.key("update", plan.update))
        await _step("update", gateway.update_records(target, plan.update, options), len(plan.update), outcomes)
    if plan.create:
        options = WriteOptions(typecast, context.key("create", plan.create))
        await _step("create", gateway.create_records(target, plan.create, options), len(plan.create), outcomes)
    if deletions:
        options = WriteOptions(idempotency_key=context.key("delete", deletions))
        await _step("delete", gateway.delete_records(target, deletions, options), len(deletions), outcomes)
    require_some([outcome for rows in outcomes.values() for outcome in rows])
    return outcomes


async def _step(
    action: Action, write: Awaitable[Sequence[RowOutcome]], rows: int, outcomes: dict[Action, list[RowOutcome]]
) -> None:
    """One write of several; once rows are written, a failure is part of the report and no longer the whole answer."""
    try:
        outcomes[action] = list(await write)
    except PyAirtableError as error:
        if not any(outcome.done for done in outcomes.values() for outcome in done):
            raise
        outcomes[action] = failed_as_a_whole(error, rows)


def key_pair(source: Table, target: Table, name: str) -> FieldPair:
    """The key in both tables; raises when it is missing in one or the two cannot be compared."""
    own = find_field(source, name, argument="key_field")
    other = find_field(target, own.name, argument="key_field")
    problem = mismatch(own, other)
    if not problem and "date_time" in (kind_of(own), kind_of(other)) and kind_of(own) != kind_of(other):
        problem = "a date and a time cannot be compared"
    if problem:
        raise InvalidInput.at("key_field", f"{own.name} cannot be the key: {problem}")
    return FieldPair(own, other)


async def _table(context: ToolContext, base_id: str, table_id: str, argument: str) -> tuple[TableRef, Table]:
    base = context.base_named(base_id)
    table = find_table(await context.gateway.get_schema(base), table_id, argument=argument)
    return TableRef(base, table.id), table


async def _rows(context: ToolContext, table: TableRef, fields: list[str]) -> list[Record]:
    query = RecordQuery(fields=tuple(fields))
    return [record async for record in each_record(context.gateway, table, query)]


TOOLS = (
    Tool(
        name="sync_tables",
        title="Sync two tables",
        description="Makes the rows of a target table those of a source table, matched by a key field. By default it "
        "only tells what would change (dry_run); with dry_run=false it updates and creates rows, and deletes only "
        "with allow_delete. A second run finds nothing to do.",
        arguments=SyncTables,
        result=SyncReport,
        run=sync_tables,
        access=Access.DESTROY,
        destructive=True,
        idempotent=True,
    ),
)
