"""A table that describes all tables of its base, one row each: create_metadata_table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field as Described

from pyairtable_platform.common.errors import FailedPrecondition, InvalidInput
from pyairtable_platform.mcp_server.lookup import match
from pyairtable_platform.mcp_server.metadata import (
    COLUMNS,
    TABLE_ID,
    UPDATED_AT,
    describe,
    is_current,
    is_metadata_table,
    missing_columns,
    unfit_columns,
)
from pyairtable_platform.mcp_server.model import (
    BaseRef,
    BaseSchema,
    NewTable,
    Record,
    RecordQuery,
    RowOutcome,
    RowUpdate,
    Table,
    TableRef,
    WriteOptions,
)
from pyairtable_platform.mcp_server.reading import each_record
from pyairtable_platform.mcp_server.tool import Access, BaseArguments, Result, Tool, ToolContext
from pyairtable_platform.mcp_server.writes import RowResult, WriteCounts, require_some


class CreateMetadataTable(BaseArguments):
    table_name: str = Described(
        default="Table Metadata", min_length=1, max_length=255, description="The table to create or bring up to date."
    )


class MetadataSummary(Result):
    table_id: str
    table_name: str
    table_created: bool
    columns_created: list[str]
    tables_described: int
    summary: WriteCounts = Described(description="Rows written; rows that were right already are not counted.")
    unchanged: int
    stale: list[str] = Described(description="Ids of rows whose table is gone; they are left as they are.")
    duplicates: list[str] = Described(description="Ids of rows for a table that has an earlier row; left as they are.")
    complete: bool = Described(description="True when every table has its row.")
    errors: list[RowResult] = Described(description="Rows that were not written.")
    rows: list[dict[str, Any]] = Described(description="What is said of each table.")


async def create_metadata_table(context: ToolContext, arguments: CreateMetadataTable) -> MetadataSummary:
    base = context.base(arguments)
    schema = await context.gateway.get_schema(base)
    # The name decides, whatever other tables are called: "Metadata (old)" belongs to somebody else.
    existing = match(schema.tables, arguments.table_name)
    table, created = await _ready_table(context, base, existing, arguments.table_name)
    described = [describe(item) for item in schema.tables if existing is None or item.id != existing.id]
    names = {column.name: found.name for column in COLUMNS if (found := match(table.fields, column.name))}
    present, duplicates, stale = await _present(context, TableRef(base, table.id), names[TABLE_ID], schema)
    changed = [
        RowUpdate(known.id if known else "", {names[column]: value for column, value in row.items()})
        for row in described
        if (known := present.get(row[TABLE_ID])) is None or not is_current(row, known, names)
    ]
    outcomes = await _write(context, TableRef(base, table.id), changed, names)
    return MetadataSummary(
        table_id=table.id,
        table_name=table.name,
        table_created=existing is None,
        columns_created=created,
        tables_described=len(described),
        summary=WriteCounts.of(outcomes),
        unchanged=len(described) - len(changed),
        stale=stale,
        duplicates=duplicates,
        complete=all(outcome.done for outcome in outcomes),
        errors=[RowResult.of(outcome) for outcome in outcomes if not outcome.done],
        rows=described,
    )


async def _ready_table(
    context: ToolContext, base: BaseRef, existing: Table | None, name: str
) -> tuple[Table, list[str]]:
    """The table with all columns, and the names of those that were created."""
    if existing is None:
        description = "One row for each table of this base"
        table = await context.gateway.create_table(base, NewTable(name, COLUMNS, description))
        return table, [column.name for column in COLUMNS]
    if not is_metadata_table(existing):
        raise InvalidInput.at(
            "table_name",
            f"the table {existing.name} is not a metadata table, for it has no column {TABLE_ID!r}, and its "
            "columns and rows are left as they are: choose another name, or leave table_name out",
        )
    if unfit := unfit_columns(existing):
        raise FailedPrecondition(
            f"the table {existing.name} has columns of other types ({'; '.join(unfit)}): rename them, or choose "
            "another table_name"
        )
    missing = missing_columns(existing)
    added = [await context.gateway.create_field(TableRef(base, existing.id), column) for column in missing]
    whole = Table(existing.id, existing.name, existing.primary_field_id, (*existing.fields, *added))
    return whole, [field.name for field in added]


async def _present(
    context: ToolContext, table: TableRef, id_column: str, schema: BaseSchema
) -> tuple[dict[str, Record], list[str], list[str]]:
    """The row of each table (the oldest), ids of further rows for it, ids of rows for tables that are gone."""
    records = [record async for record in each_record(context.gateway, table, RecordQuery())]
    known = {item.id for item in schema.tables}
    rows: dict[str, Record] = {}
    duplicates: list[str] = []
    stale: list[str] = []
    for record in sorted(records, key=lambda record: (record.created_time, record.id)):
        table_id = str(record.fields.get(id_column, "")).strip()
        if table_id not in known:
            stale.append(record.id)
        elif table_id in rows:
            duplicates.append(record.id)
        else:
            rows[table_id] = record
    return rows, duplicates, stale


async def _write(
    context: ToolContext, table: TableRef, rows: list[RowUpdate], names: dict[str, str]
) -> Sequence[RowOutcome]:
    """New rows and changed ones in one upsert by table id, so that two runs at once make one row, not two."""
    if not rows:
        return []
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    dated = [RowUpdate(row.id, {**row.fields, names[UPDATED_AT]: now}) for row in rows]
    options = WriteOptions(typecast=True, idempotency_key=context.key("upsert", dated))
    outcomes = await context.gateway.upsert_records(table, dated, [names[TABLE_ID]], options)
    require_some(outcomes)
    return outcomes


TOOLS = (
    Tool(
        name="create_metadata_table",
        title="Describe all tables in a table",
        description="Creates a table with one row for each table of the base (fields, types, guessed purpose, a column "
        "for improvements), or brings it up to date: missing columns are added, rows are matched by table id.",
        arguments=CreateMetadataTable,
        result=MetadataSummary,
        run=create_metadata_table,
        access=Access.SCHEMA,
        destructive=True,
        idempotent=True,
    ),
)
