"""Names for linked records: a cell holds record ids, people want to read names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pyairtable_devkit.gemini.planner.markdown import Names
from pyairtable_devkit.gemini.planner.outcome import AskUser
from pyairtable_devkit.gemini.planner.schema import LINK_TYPES, FieldInfo, Record, Table
from pyairtable_devkit.gemini.planner.shapes import strings_in
from pyairtable_devkit.gemini.planner.words import rest_after, same
from pyairtable_devkit.gemini.planner.world import Query, Records, World, find_named

NamesByTable = dict[str, Names]

_RECORD_ID = re.compile(r"rec[A-Za-z0-9]{14}")


def linked_table(field: FieldInfo, tables: Sequence[Table]) -> Table | None:
    """The table a link field points to: told by id or by name."""
    return next((t for t in tables if field.linked_table == t.id or same(t.name, field.linked_table)), None)


def linked_tables(fields: Iterable[FieldInfo], tables: Sequence[Table]) -> list[Table]:
    """The tables that these fields link to, each once."""
    found: list[Table] = []
    for field in fields:
        table = linked_table(field, tables) if field.type in LINK_TYPES else None
        if table is not None and table not in found:
            found.append(table)
    return found


def read_with_names(
    world: World, queries: Sequence[Query], linked: Sequence[Table]
) -> tuple[list[Records], NamesByTable]:
    """The records of the queries and, side by side with them, the names of every record of the linked tables."""
    firsts = world.primary_names(linked)
    extra = [Query(table, (first,)) for table, first in zip(linked, firsts, strict=True)]
    read = world.records([*queries, *extra])
    names: NamesByTable = {}
    for table, first, records in zip(linked, firsts, read[len(queries) :], strict=True):
        names[table.id] = {row.id: str(row.fields.get(first, row.id)) for row in records.rows}
    return read[: len(queries)], names


def merged(names: NamesByTable) -> Names:
    """All names in one: record ids are unique in a base."""
    return {key: name for table in names.values() for key, name in table.items()}


def names_shown(world: World, tables: Sequence[Table], fields: Sequence[FieldInfo], rows: Sequence[Record]) -> Names:
    """The names needed to show these fields of these rows; nothing is read when the cells hold names already."""
    used = [
        field
        for field in fields
        if any(_RECORD_ID.fullmatch(text) for row in rows for text in strings_in(row.fields.get(field.name)))
    ]
    return merged(read_with_names(world, [], linked_tables(used, tables))[1])


def link_value(name: str, field: FieldInfo, tables: Sequence[Table], world: World) -> list[str]:
    """The cell of a link field for a record given by name; AskUser when it is not there or not the only one."""
    if _RECORD_ID.fullmatch(name):
        return [name]
    table = linked_table(field, tables)
    if table is None:
        raise AskUser(f"{field.name} links to a table I cannot see. Which record id (rec...) should it be?")
    name = rest_after(name, f"{field.name} {table.name}")
    return [find_one(world, table, world.primary_names([table])[0], name).id]


def find_one(world: World, table: Table, first: str, name: str) -> Record:
    """The one record of that name; AskUser when there is none or more than one."""
    found = find_named(world.search(table, name), first, name)
    if not found:
        raise AskUser(f"I found no record named '{name}' in {table.name}. Which record do you mean?")
    if len(found) > 1:
        listed = ", ".join(f"{row.fields.get(first)} ({row.id})" for row in found[:5])
        raise AskUser(f"Several records in {table.name} fit '{name}': {listed}. Which one do you mean?")
    return found[0]
