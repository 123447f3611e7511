"""Which record a request means, and in which table."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pyairtable_devkit.gemini.planner.assignments import Masked
from pyairtable_devkit.gemini.planner.links import find_one
from pyairtable_devkit.gemini.planner.outcome import AskUser
from pyairtable_devkit.gemini.planner.schema import FieldInfo, Record, Table, find_table, primary, require_table
from pyairtable_devkit.gemini.planner.words import record_ids, rest_after
from pyairtable_devkit.gemini.planner.world import World

_WHERE = re.compile(
    r"^(?P<rest>.*)\s+(?:in|from)\s+(?:the\s+|my\s+|our\s+)?(?P<table>\w+(?:\s+\w+){0,2}?)(?:\s+table)?$",
    re.IGNORECASE,
)
_SEARCHED_TABLES = 16


def split_where(text: str, tables: Sequence[Table]) -> tuple[str, Table | None]:
    """A request without a closing "in the Tasks table", and that table; (text, None) when it does not end so."""
    found = _WHERE.search(text)
    table = find_table(found["table"], tables) if found else None
    return (found["rest"], table) if found and table else (text, None)


def locate_table(who: str, masked: Masked, tables: Sequence[Table], world: World) -> Table:
    """The table that is named with the record; else the only one that holds a record of that quoted name."""
    table = find_table(masked.without_quotes(who), tables)
    names = masked.quotes_in(who)
    if table is not None or not names or not world.toolbox.has("search_records"):
        return table or require_table(masked.without_quotes(who), tables)
    searched = tables[:_SEARCHED_TABLES]
    found = world.gather([partial(world.search, table, names[0]) for table in searched])
    holding = [table for table, rows in zip(searched, found, strict=True) if rows]
    if len(holding) == 1:
        return holding[0]
    listed = ", ".join(table.name for table in holding or tables)
    raise AskUser(f"Which table do you mean? '{names[0]}' could be in: {listed}.")


def fields_and_record(who: str, masked: Masked, table: Table, world: World) -> list[FieldInfo]:
    """The table's fields; a record named in quotes is looked for in the same turn."""
    names = masked.quotes_in(who)[:1] if not record_ids(masked.restore(who)) else []
    steps: list[Callable[[], Any]] = [partial(world.fields, [table])]
    steps += [partial(world.search, table, name) for name in names]
    fields: list[FieldInfo] = world.gather(steps)[0][0]
    return fields


def the_record(who: str, masked: Masked, table: Table, fields: Sequence[FieldInfo], world: World) -> Record:
    """The record itself: by id, by quoted name, or by the words beside the table's name."""
    ids = record_ids(masked.restore(who))
    if ids:
        return Record(ids[0], {})
    name = next(iter(masked.quotes_in(who)), "") or rest_after(who, table.name)
    if not name:
        raise AskUser(f"Which record of {table.name} do you mean? Please give its name or id.")
    return find_one(world, table, primary(fields).name, name)
