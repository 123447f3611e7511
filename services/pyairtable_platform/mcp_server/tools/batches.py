"""Many records at once, with the outcome of each: batch_create_records, batch_update_records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.mcp_server.model import RowOutcome, RowUpdate, WriteOptions
from pyairtable_platform.mcp_server.tool import Access, Arguments, Result, TableArguments, Tool, ToolContext
from pyairtable_platform.mcp_server.writes import RecordResult, RowResult, WriteCounts, require_some

MAX_ROWS = 1000
"""Rows of one call: a model cannot write more in one go; a longer load goes through the gateway."""

_TYPECAST = "Let Airtable turn text into the field's type, create choices and match links."


class BatchCreate(TableArguments):
    records: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=MAX_ROWS,
        description="The rows: each an object of cells by field name, or {'fields': {...}} as Airtable writes it.",
    )
    typecast: bool = Field(default=False, description=_TYPECAST)


class Row(Arguments):
    """A row to update."""

    id: str = Field(default="", max_length=64, description="Id of the record; with key_fields it may be left out.")
    fields: dict[str, Any] = Field(min_length=1, description="Cells by field name or id; null clears a cell.")


class BatchUpdate(TableArguments):
    records: list[Row] = Field(min_length=1, max_length=MAX_ROWS, description="The rows.")
    key_fields: list[str] = Field(
        default=[],
        max_length=3,
        description="One to three fields that tell whether a row without an id is there: it is updated when one "
        "record has these cells, created when none has.",
    )
    typecast: bool = Field(default=False, description=_TYPECAST)


class BatchResult(Result):
    summary: WriteCounts
    complete: bool = Field(description="True when every row was written; else see rows for what was not, and why.")
    records: list[RecordResult] = Field(description="The records as written.")
    rows: list[RowResult] = Field(description="The outcome of each row, in the order of the request.")


async def batch_create_records(context: ToolContext, arguments: BatchCreate) -> BatchResult:
    rows = [cells(row, f"records[{at}]") for at, row in enumerate(arguments.records)]
    options = WriteOptions(typecast=arguments.typecast, idempotency_key=context.key("create"))
    return result(await context.gateway.create_records(context.table(arguments), rows, options))


async def batch_update_records(context: ToolContext, arguments: BatchUpdate) -> BatchResult:
    table = context.table(arguments)
    rows = [RowUpdate(row.id, row.fields) for row in arguments.records]
    refuse_repeated_ids(rows)
    if arguments.key_fields:
        options = WriteOptions(typecast=arguments.typecast, idempotency_key=context.key("upsert"))
        return result(await context.gateway.upsert_records(table, rows, arguments.key_fields, options))
    for at, row in enumerate(rows):
        if not row.id:
            raise InvalidInput.at(f"records[{at}].id", "is needed, unless key_fields say how to find the record")
    options = WriteOptions(typecast=arguments.typecast, idempotency_key=context.key("update"))
    return result(await context.gateway.update_records(table, rows, options))


def cells(row: dict[str, Any], path: str) -> dict[str, Any]:
    """The cells of a row in either spelling: plain, or wrapped in `fields` alone."""
    if set(row) != {"fields"}:
        return row
    if not isinstance(row["fields"], dict):
        raise InvalidInput.at(f"{path}.fields", "must be an object of cells by field name")
    return row["fields"]


def refuse_repeated_ids(rows: Sequence[RowUpdate]) -> None:
    """A record that stands twice in one batch would end as whichever was sent last."""
    repeated = [record_id for record_id, count in Counter(row.id for row in rows if row.id).items() if count > 1]
    if repeated:
        raise InvalidInput.at("records", f"names {repeated[0]} more than once: put its cells into one row")


def result(outcomes: Sequence[RowOutcome]) -> BatchResult:
    """The outcomes as a result; raises when no row was written."""
    require_some(outcomes)
    return BatchResult(
        summary=WriteCounts.of(outcomes),
        complete=all(outcome.done for outcome in outcomes),
        records=[RecordResult.of(outcome.record) for outcome in outcomes if outcome.record is not None],
        rows=[RowResult.of(outcome) for outcome in outcomes],
    )


TOOLS = (
    Tool(
        name="batch_create_records",
        title="Create many records",
        description="Creates up to 1000 records and tells the outcome of each. Rows that Airtable refuses do not keep "
        "the others from being created.",
        arguments=BatchCreate,
        result=BatchResult,
        run=batch_create_records,
        access=Access.WRITE,
    ),
    Tool(
        name="batch_update_records",
        title="Update many records",
        description="Updates up to 1000 records by id, or creates or updates them by key fields, and tells the outcome "
        "of each.",
        arguments=BatchUpdate,
        result=BatchResult,
        run=batch_update_records,
        access=Access.WRITE,
        destructive=True,
        idempotent=True,
    ),
)
