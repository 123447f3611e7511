"""What there is: list_bases, list_tables, get_field_info."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import Field as Described

from pyairtable_platform.mcp_server.cells import is_computed
from pyairtable_platform.mcp_server.lookup import find_table
from pyairtable_platform.mcp_server.model import BaseSchema, Field, Table
from pyairtable_platform.mcp_server.tool import (
    Access,
    Arguments,
    BaseArguments,
    Result,
    TableArguments,
    Tool,
    ToolContext,
)

_FIELD_ID = re.compile(r"\{(fld[A-Za-z0-9]{14})\}")


class NoArguments(Arguments):
    pass


class BaseInfo(Result):
    id: str
    name: str
    binding: str = Described(description="The workspace's own name for it; usable as base_id.")
    is_default: bool = Described(description="True for the base that is meant when a call names none.")
    access: str = Described(description="What the workspace may do there: ReadOnly, ReadWrite or Schema.")
    permission_level: str = Described(description="What Airtable lets the workspace's token do there.")


class Bases(Result):
    bases: list[BaseInfo]
    count: int


async def list_bases(context: ToolContext, _: NoArguments) -> Bases:
    found = await context.gateway.list_bases(context.workspace)
    bases = [
        BaseInfo(
            id=base.id,
            name=base.name,
            binding=base.binding,
            is_default=base.is_default,
            access=base.access,
            permission_level=base.permission_level,
        )
        for base in found
    ]
    return Bases(bases=bases, count=len(bases))


class TableInfo(Result):
    id: str
    name: str
    description: str
    primary_field: str = Described(description="Name of the field that names a record.")
    field_count: int
    view_count: int
    fields: list[str] = Described(description="Names of the fields, in order.")


class Tables(Result):
    base_id: str
    count: int
    tables: list[TableInfo]


async def list_tables(context: ToolContext, arguments: BaseArguments) -> Tables:
    schema = await context.gateway.get_schema(context.base(arguments))
    tables = [
        TableInfo(
            id=table.id,
            name=table.name,
            description=table.description,
            primary_field=primary_name(table),
            field_count=len(table.fields),
            view_count=len(table.views),
            fields=[field.name for field in table.fields],
        )
        for table in schema.tables
    ]
    return Tables(base_id=schema.base_id, count=len(tables), tables=tables)


class Choice(Result):
    id: str
    name: str
    color: str


class FieldInfo(Result):
    id: str
    name: str
    type: str = Described(description="Airtable's type, for example singleSelect.")
    description: str
    is_primary: bool
    is_computed: bool = Described(description="True for fields that cannot be written.")
    choices: list[Choice] = Described(description="Of selects; empty for other types.")
    formula: str = Described(description="Of formula fields, with field names; empty for other types.")
    result_type: str = Described(description="What a formula, roll-up or lookup gives; empty for other types.")
    linked_table_id: str = Described(description="Of links; empty for other types.")
    linked_table: str = Described(description="Name of the linked table.")
    inverse_field_id: str = Described(description="The field in the linked table that links back.")
    options: dict[str, Any] = Described(description="All options, as Airtable writes them.")


class FieldsOfTable(Result):
    base_id: str
    table_id: str
    table_name: str
    description: str
    primary_field: str
    count: int
    fields: list[FieldInfo]
    types: dict[str, int] = Described(description="How many fields there are of each type.")


async def get_field_info(context: ToolContext, arguments: TableArguments) -> FieldsOfTable:
    schema = await context.gateway.get_schema(context.base(arguments))
    table = find_table(schema, arguments.table_id)
    return FieldsOfTable(
        base_id=schema.base_id,
        table_id=table.id,
        table_name=table.name,
        description=table.description,
        primary_field=primary_name(table),
        count=len(table.fields),
        fields=[describe(field, table, schema) for field in table.fields],
        types=dict(Counter(field.type for field in table.fields)),
    )


def describe(field: Field, table: Table, schema: BaseSchema) -> FieldInfo:
    """A field with what its options mean."""
    options = dict(field.options)
    linked_id = str(options.get("linkedTableId") or "")
    linked = next((item.name for item in schema.tables if item.id == linked_id), "")
    result = options.get("result")
    return FieldInfo(
        id=field.id,
        name=field.name,
        type=field.type,
        description=field.description,
        is_primary=field.id == table.primary_field_id,
        is_computed=is_computed(field),
        choices=[_choice(choice) for choice in options.get("choices") or []],
        formula=readable_formula(str(options.get("formula") or ""), table),
        result_type=str(result.get("type", "")) if isinstance(result, Mapping) else "",
        linked_table_id=linked_id,
        linked_table=linked,
        inverse_field_id=str(options.get("inverseLinkFieldId") or ""),
        options=options,
    )


def readable_formula(formula: str, table: Table) -> str:
    """A formula with names in place of the field ids that Airtable's schema has."""
    names = {field.id: field.name for field in table.fields}
    return _FIELD_ID.sub(lambda found: f"{{{names.get(found[1], found[1])}}}", formula)


def primary_name(table: Table) -> str:
    return next((field.name for field in table.fields if field.id == table.primary_field_id), "")


def _choice(choice: Mapping[str, Any]) -> Choice:
    return Choice(
        id=str(choice.get("id") or ""), name=str(choice.get("name") or ""), color=str(choice.get("color") or "")
    )


TOOLS = (
    Tool(
        name="list_bases",
        title="List bases",
        description="Lists the Airtable bases of the workspace and tells which one is the default.",
        arguments=NoArguments,
        result=Bases,
        run=list_bases,
        access=Access.READ,
        idempotent=True,
    ),
    Tool(
        name="list_tables",
        title="List tables",
        description="Lists the tables of a base with their descriptions and field names.",
        arguments=BaseArguments,
        result=Tables,
        run=list_tables,
        access=Access.READ,
        idempotent=True,
    ),
    Tool(
        name="get_field_info",
        title="Describe the fields of a table",
        description="Describes every field of a table: type, choices, formula, links, and whether it can be written. "
        "Use it before writing or filtering.",
        arguments=TableArguments,
        result=FieldsOfTable,
        run=get_field_info,
        access=Access.READ,
        idempotent=True,
    ),
)
