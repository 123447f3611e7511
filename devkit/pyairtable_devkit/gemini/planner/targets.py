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
from pyairtable_devkit.gemini.planner.words import record_ids, rest_after, same
from pyairtable_devkit.gemini.planner.world import World

_WHERE = re.compile(
    r"^(?P<rest>.*)\s+(?:in|from)\s+(?:the\s+|my\s+|our\s+)?(?P<table>\w+(?:\s+\w+){0,2}?)(?:\s+table)?$",
    re.IGNORECASE,
)
_QUOTED_TABLE = re.compile(
    r",?\s*(?:\b(?:in|into|from|of|to)\s+)?(?:\bthe\s+)?\btable\s+(?P<table>⟦\d+⟧)", re.IGNORECASE
)
_NAMED_TABLE = re.compile(r"\b(?:in|into|to|from)\s+(?:the\s+)?(?P<table>[\w ]+?)\s+table\b", re.IGNORECASE)
_SEARCHED_TABLES = 16


def split_where(masked: Masked, tables: Sequence[Table]) -> tuple[str, Table | None]:
    """The masked text without "in the table 'Tasks'" or a closing "in Tasks", and that table; (text, None) without."""
    text = masked.text
    told = _QUOTED_TABLE.search(text)
    if told:
        name = masked.restore(told["table"])
        exact = [table for table in tables if same(table.name, name)] or [require_table(name, tables)]
        return (text[: told.start()] + " " + text[told.end() :]).strip(), exact[0]
    named = _NAMED_TABLE.search(text)
    table = find_table(named["table"], tables) if named else None
    if named and table:
        return (text[: named.start()] + " " + text[named.end() :]).strip(), table
    closing = _WHERE.search(text)
    table = find_table(closing["table"], tables) if closing else None
    return (closing["rest"], table) if closing and table else (text, None)


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
