"""Records that are there twice, and how they could become one: find_duplicates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pydantic import Field as Described

from pyairtable_platform.mcp_server.cells import is_empty
from pyairtable_platform.mcp_server.comparing import any_filled, cell_key
from pyairtable_platform.mcp_server.formulas import is_one_of
from pyairtable_platform.mcp_server.lookup import find_field, find_fields, find_table
from pyairtable_platform.mcp_server.merging import MergeProposal, propose
from pyairtable_platform.mcp_server.model import Field, Record, RecordQuery, Table, TableRef
from pyairtable_platform.mcp_server.reading import each_record
from pyairtable_platform.mcp_server.tool import Access, Result, TableArguments, Tool, ToolContext

_IDS_PER_CALL = 100
_IDS_SHOWN = 100


class FindDuplicates(TableArguments):
    fields: list[str] = Described(
        default=[],
        max_length=20,
        description="Names or ids of the fields that make two records the same, all of them together; empty is the "
        "primary field.",
    )
    ignore_empty: bool = Described(default=True, description="Leave out records in which all of these are empty.")
    view: str = Described(default="", max_length=255, description="Id or name of a view to look in.")
    max_groups: int = Described(default=50, ge=1, le=200, description="At most this many groups are returned.")


class DuplicateGroup(Result):
    values: dict[str, Any] = Described(description="What the records have in common, by field name.")
    count: int = Described(description="Records in this group.")
    record_ids: list[str] = Described(description="Their ids, the first hundred.")
    proposal: MergeProposal = Described(description="How they could become one; nothing was changed.")


class Duplicates(Result):
    table_id: str
    table_name: str
    fields: list[str]
    records_scanned: int = Described(description="All records of the table or view.")
    records_ignored: int = Described(description="Left out because all compared fields are empty.")
    group_count: int = Described(description="Groups there are; the largest are returned.")
    duplicate_count: int = Described(description="Records that are one too many.")
    groups: list[DuplicateGroup]


class Scan:
    """Ids by what is compared: small enough for a table of any size that Airtable allows."""

    def __init__(self, fields: Sequence[Field], *, ignore_empty: bool) -> None:
        self._fields = fields
        self._ignore_empty = ignore_empty
        self._ids: defaultdict[tuple[Any, ...], list[str]] = defaultdict(list)
        self.scanned = 0
        self.ignored = 0

    def add(self, record: Record) -> None:
        self.scanned += 1
        key = tuple(cell_key(record.fields.get(field.name), field) for field in self._fields)
        if self._ignore_empty and not any_filled(list(key)):
            self.ignored += 1
        else:
            self._ids[key].append(record.id)

    def groups(self) -> list[list[str]]:
        """Ids that belong together, the largest groups first."""
        return sorted((ids for ids in self._ids.values() if len(ids) > 1), key=len, reverse=True)


async def find_duplicates(context: ToolContext, arguments: FindDuplicates) -> Duplicates:
    table = find_table(await context.gateway.get_schema(context.base(arguments)), arguments.table_id)
    fields = find_fields(table, arguments.fields) or [find_field(table, table.primary_field_id)]
    scan = Scan(fields, ignore_empty=arguments.ignore_empty)
    query = RecordQuery(fields=tuple(field.id for field in fields), view=arguments.view)
    async for record in each_record(context.gateway, context.table(arguments), query):
        scan.add(record)
    groups = scan.groups()
    shown = groups[: arguments.max_groups]
    whole = await read_whole(context, context.table(arguments), [ids[:_IDS_SHOWN] for ids in shown])
    return Duplicates(
        table_id=table.id,
        table_name=table.name,
        fields=[field.name for field in fields],
        records_scanned=scan.scanned,
        records_ignored=scan.ignored,
        group_count=len(groups),
        duplicate_count=sum(len(ids) - 1 for ids in groups),
        groups=[group for ids in shown if (group := describe(ids, whole, table, fields)) is not None],
    )


async def read_whole(context: ToolContext, table: TableRef, groups: list[list[str]]) -> dict[str, Record]:
    """The records of the groups with all their cells."""
    ids = [record_id for group in groups for record_id in group]
    found: dict[str, Record] = {}
    for start in range(0, len(ids), _IDS_PER_CALL):
        chunk = ids[start : start + _IDS_PER_CALL]
        page = await context.gateway.list_records(table, RecordQuery(formula=is_one_of(chunk), page_size=len(chunk)))
        found.update((record.id, record) for record in page.records)
    return found


def describe(ids: list[str], whole: dict[str, Record], table: Table, fields: Sequence[Field]) -> DuplicateGroup | None:
    """A group with its proposal; None when its records were deleted while we looked."""
    records = [whole[record_id] for record_id in ids[:_IDS_SHOWN] if record_id in whole]
    if len(records) < 2:
        return None
    first = records[0].fields
    return DuplicateGroup(
        values={field.name: first[field.name] for field in fields if not is_empty(first.get(field.name))},
        count=len(ids),
        record_ids=[record.id for record in records],
        proposal=propose(records, table),
    )


TOOLS = (
    Tool(
        name="find_duplicates",
        title="Find duplicates",
        description="Finds records of a table that are the same in the given fields, over all its rows: text without "
        "case and outer blanks, lists without order, attachments by name and size. Proposes how to merge each "
        "group and changes nothing.",
        arguments=FindDuplicates,
        result=Duplicates,
        run=find_duplicates,
        access=Access.READ,
        idempotent=True,
    ),
)
