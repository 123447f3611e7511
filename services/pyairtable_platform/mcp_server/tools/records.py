"""Reading and writing single records: get_records, get_record, create_record, update_record, delete_record."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pyairtable_platform.mcp_server.model import RecordQuery, RowUpdate, Sort, WriteOptions
from pyairtable_platform.mcp_server.tool import Access, Arguments, Result, TableArguments, Tool, ToolContext
from pyairtable_platform.mcp_server.writes import RecordResult, require_some, the_record

MAX_RECORDS = 1000
"""Records in one answer: more would not fit a model's context, and pages get at the rest."""

Cells = dict[str, Any]


class SortKey(Arguments):
    """A sort key."""

    field: str = Field(min_length=1, max_length=255, description="Name or id of the field.")
    direction: str = Field(default="asc", pattern="^(asc|desc)$", description="asc or desc.")


class GetRecords(TableArguments):
    max_records: int = Field(default=100, ge=1, le=MAX_RECORDS, description="At most this many in this answer.")
    view: str = Field(default="", max_length=255, description="Id or name of a view: its records in its order.")
    filter_by_formula: str = Field(
        default="", max_length=16_000, description="Airtable formula that records must satisfy, e.g. {Status}='Open'."
    )
    fields: list[str] = Field(default=[], max_length=500, description="Names or ids of the fields; empty is all.")
    sort: list[SortKey] = Field(default=[], max_length=20, description="Sort keys, the first decides first.")
    page_token: str = Field(default="", max_length=4096, description="next_page_token of the answer before.")


class Records(Result):
    records: list[RecordResult]
    count: int = Field(description="Records in this answer.")
    has_more: bool = Field(description="True when there are more than these.")
    next_page_token: str = Field(description="Give it as page_token for the next ones; empty at the end.")


async def get_records(context: ToolContext, arguments: GetRecords) -> Records:
    query = RecordQuery(
        fields=tuple(arguments.fields),
        view=arguments.view,
        formula=arguments.filter_by_formula,
        sort=tuple(Sort(key.field, "desc" if key.direction == "desc" else "asc") for key in arguments.sort),
        page_size=arguments.max_records,
        page_token=arguments.page_token,
    )
    page = await context.gateway.list_records(context.table(arguments), query)
    return Records(
        records=[RecordResult.of(record) for record in page.records],
        count=len(page.records),
        has_more=bool(page.next_page_token),
        next_page_token=page.next_page_token,
    )


class OneRecord(TableArguments):
    record_id: str = Field(min_length=1, max_length=64, description="Id of the record (rec...).")


class RecordAnswer(Result):
    record: RecordResult


async def get_record(context: ToolContext, arguments: OneRecord) -> RecordAnswer:
    record = await context.gateway.get_record(context.table(arguments), arguments.record_id)
    return RecordAnswer(record=RecordResult.of(record))


class CreateRecord(TableArguments):
    fields: Cells = Field(description="Cells by field name or id.")
    typecast: bool = Field(
        default=False, description="Let Airtable turn text into the field's type, create choices and match links."
    )


async def create_record(context: ToolContext, arguments: CreateRecord) -> RecordAnswer:
    options = WriteOptions(typecast=arguments.typecast, idempotency_key=context.key("create"))
    outcomes = await context.gateway.create_records(context.table(arguments), [arguments.fields], options)
    return RecordAnswer(record=RecordResult.of(the_record(outcomes)))


class UpdateRecord(OneRecord):
    fields: Cells = Field(min_length=1, description="Cells to change, by field name or id; null clears a cell.")
    typecast: bool = Field(
        default=False, description="Let Airtable turn text into the field's type, create choices and match links."
    )


async def update_record(context: ToolContext, arguments: UpdateRecord) -> RecordAnswer:
    options = WriteOptions(typecast=arguments.typecast, idempotency_key=context.key("update"))
    rows = [RowUpdate(arguments.record_id, arguments.fields)]
    outcomes = await context.gateway.update_records(context.table(arguments), rows, options)
    return RecordAnswer(record=RecordResult.of(the_record(outcomes)))


class Deleted(Result):
    deleted: bool
    id: str


async def delete_record(context: ToolContext, arguments: OneRecord) -> Deleted:
    options = WriteOptions(idempotency_key=context.key("delete"))
    outcomes = await context.gateway.delete_records(context.table(arguments), [arguments.record_id], options)
    require_some(outcomes)
    return Deleted(deleted=True, id=arguments.record_id)


TOOLS = (
    Tool(
        name="get_records",
        title="Get records",
        description="Lists records of a table, filtered by an Airtable formula or a view, page by page. "
        "To find text anywhere in a table use search_records.",
        arguments=GetRecords,
        result=Records,
        run=get_records,
        access=Access.READ,
        idempotent=True,
    ),
    Tool(
        name="get_record",
        title="Get a record",
        description="Returns one record by its id.",
        arguments=OneRecord,
        result=RecordAnswer,
        run=get_record,
        access=Access.READ,
        idempotent=True,
    ),
    Tool(
        name="create_record",
        title="Create a record",
        description="Creates a record. Ask get_field_info for the fields, their types and choices first.",
        arguments=CreateRecord,
        result=RecordAnswer,
        run=create_record,
        access=Access.WRITE,
    ),
    Tool(
        name="update_record",
        title="Update a record",
        description="Changes the given cells of a record and leaves the others as they are.",
        arguments=UpdateRecord,
        result=RecordAnswer,
        run=update_record,
        access=Access.WRITE,
        destructive=True,
        idempotent=True,
    ),
    Tool(
        name="delete_record",
        title="Delete a record",
        description="Deletes a record. The API cannot bring it back.",
        arguments=OneRecord,
        result=Deleted,
        run=delete_record,
        access=Access.DESTROY,
        destructive=True,
        idempotent=True,
    ),
)
