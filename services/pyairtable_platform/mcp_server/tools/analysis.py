"""How a table is filled: analyze_table_data."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Literal

from pydantic import Field as Described

from pyairtable_platform.mcp_server.figures import FieldStatistics, describe_field
from pyairtable_platform.mcp_server.lookup import find_fields, find_table
from pyairtable_platform.mcp_server.model import Gateway, Record, RecordQuery, TableRef
from pyairtable_platform.mcp_server.reading import each_record
from pyairtable_platform.mcp_server.tool import Access, Result, TableArguments, Tool, ToolContext

MAX_SAMPLE = 10_000


class Analyze(TableArguments):
    sample_size: int = Described(default=100, ge=1, le=MAX_SAMPLE, description="Records to look at.")
    sample: Literal["first", "random"] = Described(
        default="first",
        description="first takes the first records; random reads the whole table and draws from all of it, the same "
        "ones each time.",
    )
    view: str = Described(default="", max_length=255, description="Id or name of a view to look at.")
    filter_by_formula: str = Described(
        default="", max_length=16_000, description="Airtable formula that the records must satisfy."
    )
    fields: list[str] = Described(default=[], max_length=500, description="Names or ids of the fields; empty is all.")


class Insight(Result):
    field: str
    kind: Literal["always_empty", "mostly_empty", "always_filled", "always_the_same", "always_different"]
    text: str


class Analysis(Result):
    table_id: str
    table_name: str
    records_analyzed: int
    records_read: int = Described(description="Records that the sample was drawn from.")
    sample: str
    complete: bool = Described(description="True when the sample holds every record that was asked about.")
    fields: list[FieldStatistics]
    insights: list[Insight]


async def analyze_table_data(context: ToolContext, arguments: Analyze) -> Analysis:
    table = find_table(await context.gateway.get_schema(context.base(arguments)), arguments.table_id)
    fields = find_fields(table, arguments.fields) or list(table.fields)
    query = RecordQuery(
        fields=tuple(field.id for field in fields) if arguments.fields else (),
        view=arguments.view,
        formula=arguments.filter_by_formula,
    )
    records, read, complete = await draw(context.gateway, context.table(arguments), query, arguments)
    statistics = [describe_field(field, [record.fields.get(field.name) for record in records]) for field in fields]
    return Analysis(
        table_id=table.id,
        table_name=table.name,
        records_analyzed=len(records),
        records_read=read,
        sample=arguments.sample,
        complete=complete,
        fields=statistics,
        insights=[insight for field in statistics for insight in insights(field)] if records else [],
    )


async def draw(
    gateway: Gateway, table: TableRef, query: RecordQuery, arguments: Analyze
) -> tuple[list[Record], int, bool]:
    """The sample, how many records were read for it, and whether it is all there is."""
    size = arguments.sample_size
    if arguments.sample == "first":
        page = await gateway.list_records(table, replace(query, page_size=size))
        return list(page.records), len(page.records), not page.next_page_token
    drawn: list[Record] = []
    read = 0
    # Seeded, so that a repeat on the same table looks at the same records. Algorithm R: one pass, `size` in memory.
    chance = random.Random(0)  # noqa: S311 - a sample, not a secret
    async for record in each_record(gateway, table, query):
        read += 1
        if len(drawn) < size:
            drawn.append(record)
        elif (at := chance.randrange(read)) < size:
            drawn[at] = record
    return drawn, read, read <= size


def insights(field: FieldStatistics) -> list[Insight]:
    """What is worth saying of a field, in words."""
    share = f"{field.fill_rate:.0%}"
    found: list[Insight] = []
    if field.filled == 0:
        found.append(Insight(field=field.name, kind="always_empty", text=f"{field.name} is empty in every record."))
    elif field.fill_rate < 0.5:
        found.append(
            Insight(field=field.name, kind="mostly_empty", text=f"{field.name} is filled in only {share} of records.")
        )
    elif field.empty == 0:
        found.append(Insight(field=field.name, kind="always_filled", text=f"{field.name} is filled in every record."))
    if field.filled > 1 and field.unique_values == 1:
        text = f"{field.name} holds the same value wherever it is filled."
        found.append(Insight(field=field.name, kind="always_the_same", text=text))
    elif field.filled > 1 and field.empty == 0 and field.unique_values == field.filled:
        text = f"{field.name} holds a different value in every record: it may serve as a key."
        found.append(Insight(field=field.name, kind="always_different", text=text))
    return found


TOOLS = (
    Tool(
        name="analyze_table_data",
        title="Analyze the data of a table",
        description="Tells for each field of a table how often it is filled, how its numbers, texts, dates and choices "
        "are spread, and what stands out. The sample is chosen by size, view, filter and fields.",
        arguments=Analyze,
        result=Analysis,
        run=analyze_table_data,
        access=Access.READ,
        idempotent=True,
    ),
)
