"""A table as CSV: export_table_csv, and the stream behind ExportTableCsv."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice

from pydantic import Field as Described

from pyairtable_platform.mcp_server.csv_text import CsvWriter
from pyairtable_platform.mcp_server.lookup import find_fields, find_table
from pyairtable_platform.mcp_server.model import Field, RecordQuery, Table
from pyairtable_platform.mcp_server.reading import PAGE_SIZE, each_record
from pyairtable_platform.mcp_server.tool import Access, Result, TableArguments, Tool, ToolContext

MAX_TEXT = 200_000
"""Characters of CSV in a tool's answer: what a large model takes. More goes through the stream."""

_PREVIEW_ROWS = 5
_LOCALE = "en-us"


class ExportCsv(TableArguments):
    fields: list[str] = Described(
        default=[], max_length=500, description="Names or ids of the columns, in order; empty is all of the table."
    )
    view: str = Described(default="", max_length=255, description="Id or name of a view: its records in its order.")
    max_records: int = Described(default=1000, ge=1, le=50_000, description="At most this many rows.")
    filter_by_formula: str = Described(
        default="", max_length=16_000, description="Airtable formula that rows must satisfy."
    )
    values: str = Described(
        default="display",
        pattern="^(display|raw)$",
        description="display: cells as Airtable shows them, with names of linked records; raw: numbers and dates "
        "unformatted, links as record ids.",
    )
    time_zone: str = Described(default="utc", max_length=64, description="IANA name, for displayed times.")
    escape_formulas: bool = Described(
        default=True,
        description="Put an apostrophe before text that a spreadsheet would run as a formula (= + - @ tab); false "
        "writes every cell as it is.",
    )


class ExportStream(ExportCsv):
    """The same for a stream, which has no bound of its own."""

    max_records: int = Described(default=0, ge=0, description="At most this many rows; 0 is all.")


class CsvAnswer(Result):
    table_id: str
    table_name: str
    columns: list[str]
    row_count: int = Described(description="Rows in csv, without the header.")
    truncated: bool = Described(description="True when rows that were asked for did not fit: see note.")
    has_more: bool = Described(description="True when the table holds more rows than csv does.")
    note: str = Described(description="How to get the rest; empty when nothing is missing.")
    preview: str = Described(description="The header and the first rows.")
    csv: str = Described(description="RFC 4180: comma, CRLF, quotes where needed.")


@dataclass(frozen=True, slots=True)
class CsvExport:
    """What a stream of CSV needs to know: the columns, and which records."""

    table: Table
    fields: tuple[Field, ...]
    query: RecordQuery
    writer: CsvWriter


async def prepare(context: ToolContext, arguments: ExportCsv) -> CsvExport:
    """Find table and columns, before the first byte is sent: a wrong name is an error, not a broken file."""
    table = find_table(await context.gateway.get_schema(context.base(arguments)), arguments.table_id)
    fields = tuple(find_fields(table, arguments.fields) or table.fields)
    display = arguments.values == "display"
    query = RecordQuery(
        fields=tuple(field.id for field in fields) if arguments.fields else (),
        view=arguments.view,
        formula=arguments.filter_by_formula,
        page_size=PAGE_SIZE,
        max_records=arguments.max_records,
        as_text=display,
        time_zone=arguments.time_zone if display else "",
        user_locale=_LOCALE if display else "",
    )
    return CsvExport(table, fields, query, CsvWriter(fields, escape_formulas=arguments.escape_formulas))


async def stream_csv(context: ToolContext, arguments: TableArguments, export: CsvExport) -> AsyncGenerator[str, None]:
    """The file in pieces: the header, then a piece a page."""
    yield export.writer.header()
    async with aclosing(context.gateway.stream_records(context.table(arguments), export.query)) as pages:
        async for page in pages:
            if page.records:
                yield export.writer.rows(page.records)


async def export_table_csv(context: ToolContext, arguments: ExportCsv) -> CsvAnswer:
    asked = arguments.max_records
    # One row more than asked for tells whether the table holds more.
    export = await prepare(context, arguments.model_copy(update={"max_records": asked + 1}))
    lines, has_more = await bounded_lines(context, arguments, export, asked)
    rows = len(lines) - 1
    truncated = has_more and rows < asked
    return CsvAnswer(
        table_id=export.table.id,
        table_name=export.table.name,
        columns=[field.name for field in export.fields],
        row_count=rows,
        truncated=truncated,
        has_more=has_more,
        note=_note(rows, truncated=truncated) if has_more else "",
        preview="".join(islice(lines, _PREVIEW_ROWS + 1)),
        csv="".join(lines),
    )


async def bounded_lines(
    context: ToolContext, arguments: ExportCsv, export: CsvExport, max_rows: int
) -> tuple[list[str], bool]:
    """The header and as many rows as fit, and whether there is a row that did not."""
    lines, length = [export.writer.header()], 0
    async with aclosing(each_record(context.gateway, context.table(arguments), export.query)) as records:
        async for record in records:
            line = export.writer.rows([record])
            length += len(line)
            if len(lines) > max_rows or length > MAX_TEXT:
                return lines, True
            lines.append(line)
    return lines, False


def _note(rows: int, *, truncated: bool) -> str:
    why = f"{MAX_TEXT} characters" if truncated else "max_records"
    return (
        f"stopped after {rows} rows ({why}); the whole table streams from "
        "GET /bases/{base_id}/tables/{table_id}/export.csv"
    )


TOOLS = (
    Tool(
        name="export_table_csv",
        title="Export a table as CSV",
        description="Returns a table as CSV with a column for every field of the schema, empty ones included, and a "
        "preview of the first rows. Answers are bounded and say when rows are missing.",
        arguments=ExportCsv,
        result=CsvAnswer,
        run=export_table_csv,
        access=Access.READ,
        idempotent=True,
    ),
)
