"""Finding text anywhere in a table: search_records."""

from __future__ import annotations

from pydantic import Field as Described
from pydantic import field_validator

from pyairtable_platform.common.errors import InvalidInput
from pyairtable_platform.mcp_server.formulas import contains_any, is_searchable
from pyairtable_platform.mcp_server.lookup import find_fields, find_table
from pyairtable_platform.mcp_server.model import Field, RecordQuery, Table
from pyairtable_platform.mcp_server.tool import Access, Result, TableArguments, Tool, ToolContext
from pyairtable_platform.mcp_server.writes import RecordResult

from .records import MAX_RECORDS

MAX_FORMULA_LENGTH = 60_000
"""Airtable takes longer requests than this, the gateway does not."""


class SearchRecords(TableArguments):
    query: str = Described(min_length=1, max_length=1000, description="The text to find; case does not matter.")
    fields: list[str] = Described(
        default=[], max_length=500, description="Names or ids of the fields to search; empty is all that hold text."
    )
    max_records: int = Described(default=50, ge=1, le=MAX_RECORDS, description="At most this many in this answer.")
    view: str = Described(default="", max_length=255, description="Id or name of a view to search in.")
    page_token: str = Described(default="", max_length=4096, description="next_page_token of the answer before.")

    @field_validator("query")
    @classmethod
    def says_something(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must hold more than blanks")
        return value


class Found(Result):
    query: str
    searched_fields: list[str] = Described(description="Names of the fields that were searched.")
    records: list[RecordResult]
    count: int
    has_more: bool
    next_page_token: str


async def search_records(context: ToolContext, arguments: SearchRecords) -> Found:
    table = find_table(await context.gateway.get_schema(context.base(arguments)), arguments.table_id)
    fields = searched_fields(table, arguments.fields)
    formula = contains_any(arguments.query.strip(), fields)
    if len(formula) > MAX_FORMULA_LENGTH:
        raise InvalidInput.at("fields", f"{len(fields)} fields times this query is too long: name fewer fields")
    query = RecordQuery(
        formula=formula, view=arguments.view, page_size=arguments.max_records, page_token=arguments.page_token
    )
    page = await context.gateway.list_records(context.table(arguments), query)
    return Found(
        query=arguments.query,
        searched_fields=[field.name for field in fields],
        records=[RecordResult.of(record) for record in page.records],
        count=len(page.records),
        has_more=bool(page.next_page_token),
        next_page_token=page.next_page_token,
    )


def searched_fields(table: Table, names: list[str]) -> list[Field]:
    """The named fields, else all that hold text."""
    if names:
        return find_fields(table, names)
    return [field for field in table.fields if is_searchable(field)] or list(table.fields)


TOOLS = (
    Tool(
        name="search_records",
        title="Search records",
        description="Finds records that hold a text in any field (or the named ones), whatever the case of its "
        "letters: text, numbers, choices, dates as YYYY-MM-DD, names of linked records and people.",
        arguments=SearchRecords,
        result=Found,
        run=search_records,
        access=Access.READ,
        idempotent=True,
    ),
)
