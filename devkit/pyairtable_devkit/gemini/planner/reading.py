"""Recipes that read: bases, tables, fields, lists, searches, counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from pyairtable_devkit.gemini.planner import markdown, shapes
from pyairtable_devkit.gemini.planner.conditions import (
    Condition,
    conditions_in,
    described,
    holds,
    joined_formula,
    linked_in,
    partly_named,
    primary_in,
    texts_in,
)
from pyairtable_devkit.gemini.planner.leftover import note, unused
from pyairtable_devkit.gemini.planner.links import find_one, linked_tables, names_shown, read_with_names
from pyairtable_devkit.gemini.planner.outcome import AskUser
from pyairtable_devkit.gemini.planner.schema import (
    LINK_TYPES,
    FieldInfo,
    Record,
    Table,
    find_field,
    find_table,
    mentioned_fields,
    primary,
    require_table,
)
from pyairtable_devkit.gemini.planner.smalltalk import small_talk
from pyairtable_devkit.gemini.planner.words import quoted, record_ids, rest_after, stems, without_quoted
from pyairtable_devkit.gemini.planner.world import Query, World

_SEARCH = re.compile(
    r"\b(?:named|called|with (?:the )?name|matching|containing|contain(?:s)?|mention(?:ing)?|about|for)\s+"
    r"(?P<what>.+?)(?:\s+in (?:the )?(?P<where>[\w ]+?)(?: table)?)?[?.!]*$",
    re.IGNORECASE,
)
_FIND_IN = re.compile(
    r"^(?:find|search|look up|look for)\s+(?P<what>.+?)\s+(?:in|among|from)\s+(?:the |my |our )?(?P<where>.+?)[?.!]*$",
    re.IGNORECASE,
)
_GROUP = re.compile(
    r"\b(?:per|by|for each|for every|in each|of each|each|every)\s+(?:the )?([a-z][\w ]*)", re.IGNORECASE
)
_COUNTED_END = re.compile(r"\b(?:are|is|were|have|has|do|does|in|for)\b", re.IGNORECASE)
_SHOWN_END = re.compile(r"\b(?:with|where|whose|for|of|in|from|that|which|due|by|named|called)\b", re.IGNORECASE)
_OF = re.compile(
    r"^what(?:'s| is| are| was)\s+(?:the\s+)?(?P<field>[\w ]+?)\s+of\s+(?:the\s+)?(?P<who>.+?)[?.!]*$", re.IGNORECASE
)
_WITH = re.compile(r"\b(?:with|and|showing|including)\b(.*)", re.IGNORECASE | re.DOTALL)


def list_bases(text: str, world: World) -> str:
    """ "Which bases can I use?" """
    bases = world.bases()
    rows = [[str(base["name"]), str(base.get("id", ""))] for base in bases]
    return f"You have access to {markdown.counted(len(rows), 'base')}:\n\n" + markdown.table(["Base", "Id"], rows)


def list_tables(text: str, world: World) -> str:
    """ "List all tables in my Airtable base" """
    tables = world.tables()
    if not tables:
        return "The base has no tables."
    rows = [[table.name, _fact(table, "field_count"), _fact(table, "description"), table.id] for table in tables]
    headings = ["Table", "Fields", "Description", "Id"]
    kept = [index for index in range(4) if any(row[index] for row in rows)]
    shown = markdown.table([headings[i] for i in kept], [[row[i] for i in kept] for row in rows])
    return f"The base has {markdown.counted(len(tables), 'table')}:\n\n{shown}"


def _fact(table: Table, name: str) -> str:
    value = table.raw.get(name)
    return "" if value is None else str(value)


def describe_table(text: str, world: World) -> str:
    """ "Which fields does Tasks have?", "What are the choices of Status in Tasks?" """
    table = require_table(text, world.tables())
    fields = world.fields([table])[0]
    named = find_field(without_quoted(text), [field for field in fields if field.choices])
    if named is not None and re.search(r"\b(choices|options|values)\b", text, re.IGNORECASE):
        return f"{named.name} in {table.name} can be: {', '.join(named.choices)}."
    rows = [[field.name + (" (primary)" if field.is_primary else ""), field.type, _about(field)] for field in fields]
    shown = markdown.table(["Field", "Type", "Details"], rows)
    return f"{table.name} has {markdown.counted(len(fields), 'field')}:\n\n{shown}"


def _about(field: FieldInfo) -> str:
    return (
        ", ".join(field.choices) if field.choices else (f"links to {field.linked_table}" if field.linked_table else "")
    )


def show_records(text: str, world: World) -> str:
    """ "Show the projects with status and budget", "list open tasks", "get recXXXXXXXXXXXXXX from Tasks" """
    tables = world.tables()
    ids = record_ids(text)
    if ids:
        return _show_one(ids[0], text, tables, world)
    table = _subject(text, tables, _SHOWN_END)
    fields = world.fields([table])[0]
    asked = _WITH.search(text)
    mentioned = mentioned_fields(asked.group(1) if asked else "", fields)
    wanted = [field for field in mentioned if not field.is_primary]
    used = [field.name for field in mentioned]
    rows, conditions, complete, left = matching(text, table, fields, tables, world, used)
    if not rows:
        return left + none_found(table, conditions, complete)
    shown = markdown.columns(fields, wanted, primary(fields))
    names = names_shown(world, tables, shown, rows)
    more = "" if complete else " (only the first of them were read)"
    head = f"{markdown.counted(len(rows), 'record')} in {table.name}{described(conditions)}{more}:"
    return f"{left}{head}\n\n{markdown.records(rows, shown, names)}"


def look_up(text: str, world: World) -> str:
    """ "What is the status of project 'Villa Rosa'?" """
    found = _OF.match(text)
    tables = world.tables()
    if found is None or find_table(without_quoted(found["who"]), tables) is None:
        return answer_question(text, world)
    table = require_table(without_quoted(found["who"]), tables)
    fields = world.fields([table])[0]
    field = find_field(found["field"], fields)
    name = next(iter(quoted(found["who"])), "") or rest_after(found["who"], table.name)
    if field is None or not name:
        return show_records(text, world)
    record = find_one(world, table, primary(fields).name, name)
    names = names_shown(world, tables, [field], [record])
    value = markdown.field_cell(record.fields.get(field.name), field, names) or "(empty)"
    return f"{field.name} of **{record.fields.get(primary(fields).name)}** in {table.name}: **{value}**"


def answer_question(text: str, world: World) -> str:
    """ "Which contacts are in Cork?"; a question about no table at all is small talk."""
    tables = world.tables()
    if record_ids(text) or find_table(text, tables):
        return show_records(text, world)
    return small_talk(text, airtable=True)


def _subject(text: str, tables: Sequence[Table], end: re.Pattern[str]) -> Table:
    """The table a request is about: named before its conditions begin, else anywhere."""
    return find_table(end.split(text, maxsplit=1)[0], tables) or require_table(text, tables)


def _show_one(record_id: str, text: str, tables: Sequence[Table], world: World) -> str:
    table = require_table(text.replace(record_id, " "), tables)
    result = world.ask([world.call("get_record", table=table.id, record=record_id)])[0]
    found = shapes.records_in(result)
    fields = found[0]["fields"] if found else {}
    rows = [[name, markdown.cell(value, {})] for name, value in fields.items()]
    return f"{record_id} in {table.name}:\n\n{markdown.table(['Field', 'Value'], rows)}"


def matching(
    text: str,
    table: Table,
    fields: Sequence[FieldInfo],
    tables: Sequence[Table],
    world: World,
    used: Sequence[str] = (),
) -> tuple[list[Record], list[Condition], bool, str]:
    """The records of a table that a request means, the conditions understood, whether all were read, and a note.

    The note says what of the request was not used, `used` apart; it is "" when nothing was left.
    """
    conditions = conditions_in(text, fields, world.today)
    formula = joined_formula(conditions) if world.toolbox.takes("get_records", "formula") else ""
    linked = linked_tables(named_links(text, fields), tables)
    (read,), names = read_with_names(world, [Query(table, formula=formula)], linked)
    conditions += linked_in(text, fields, tables, names)
    taken = {condition.field for condition in conditions}
    free = [field for field in fields if field.name not in taken]
    conditions += texts_in(text, free, read.rows) + primary_in(text, fields, read.rows)
    known = [*used, table.name]
    conditions += partly_named(words_left(text, known, conditions, fields, tables), text, free, tables, names)
    left = note(words_left(text, known, conditions, fields, tables))
    return [row for row in read.rows if holds(conditions, row)], conditions, read.complete, left


def words_left(
    text: str,
    used: Sequence[str],
    conditions: Sequence[Condition],
    fields: Sequence[FieldInfo],
    tables: Sequence[Table],
) -> list[str]:
    """What of a request neither `used` nor the conditions (their fields, the tables these link to) account for."""
    tested = {condition.field for condition in conditions}
    linked = linked_tables([field for field in fields if field.name in tested], tables)
    return unused(text, [*used, *tested, *(table.name for table in linked), *(made.said for made in conditions)])


def none_found(table: Table, conditions: Sequence[Condition], complete: bool) -> str:
    """That there is nothing, or, when not all could be read, just that."""
    if complete:
        return f"There are no records in {table.name}{described(conditions)}."
    return f"I could not read all records of {table.name}, and what I read holds none{described(conditions)}."


def named_links(text: str, fields: Sequence[FieldInfo]) -> list[FieldInfo]:
    """Link fields worth looking into: the text says "for/of/by ..." something that is no heading."""
    if not re.search(
        r"\b(?:for|of|by|on|from|to|at|did|does|do|has|have|with)\s+(?:the\s+)?(?:\w+\s+)?['\"“]?[A-Z0-9]", text
    ):
        return []
    links = [field for field in fields if field.type in LINK_TYPES]
    words = set(stems(without_quoted(text)))
    named = [field for field in links if set(stems(field.name)) & words]
    return named or links


def search_records(text: str, world: World) -> str:
    """ "Find contacts named O'Brien", "search Suppliers for Müller" """
    what, where = _search_terms(text)
    if not what:
        return show_records(text, world)
    tables = world.tables()
    table = find_table(where, tables)
    if table is None:
        return _search_everywhere(what, tables, world)
    fields = world.fields([table])[0]
    rows = world.search(table, what)
    if not rows:
        return f"I found nothing for '{what}' in {table.name}."
    shown = markdown.columns(fields, [], primary(fields))
    names = names_shown(world, tables, shown, rows)
    head = f"I found {markdown.counted(len(rows), 'record')} for '{what}' in {table.name}:"
    return f"{head}\n\n{markdown.records(rows, shown, names)}"


def _search_terms(text: str) -> tuple[str, str]:
    """What to look for, and the words that say where."""
    texts = quoted(text)
    if texts:
        return texts[0], without_quoted(text)
    for pattern in (_FIND_IN, _SEARCH):
        found = pattern.search(text)
        if found:
            return found["what"].strip(), (found["where"] or "") + " " + text[: found.start("what")]
    return "", text


def _search_everywhere(what: str, tables: Sequence[Table], world: World) -> str:
    if not tables:
        raise AskUser("The base has no tables. Which base should I search?")
    if world.toolbox.has("search_records"):
        world.ask([world.call("search_records", table=table.id, query=what) for table in tables])
    hits = [(table, world.search(table, what)) for table in tables]
    lines = [f"- {table.name}: {markdown.counted(len(rows), 'record')}" for table, rows in hits if rows]
    return f"'{what}' occurs in:\n\n" + "\n".join(lines) if lines else f"I found '{what}' in none of the tables."


def count_records(text: str, world: World) -> str:
    """ "How many open tasks are there?", "count tasks by status" """
    tables = world.tables()
    grouped = _GROUP.search(text)
    head = text[: grouped.start()] if grouped else text
    table = _subject(head, tables, _COUNTED_END)
    fields = world.fields([table])[0]
    rows, conditions, complete, left = matching(head, table, fields, tables, world)
    about = f"{table.name}{described(conditions)}"
    more = "" if complete else " at least"
    if grouped is None:
        return f"{left}There are{more} **{len(rows)}** records in {about}."
    return left + _counted_by(grouped.group(1), rows, fields, tables, about, world)


def _counted_by(
    wanted: str, rows: Sequence[Record], fields: Sequence[FieldInfo], tables: Sequence[Table], about: str, world: World
) -> str:
    field = find_field(wanted, fields)
    if field is None:
        raise AskUser(f"By which field should I count? There are: {', '.join(item.name for item in fields)}.")
    names = names_shown(world, tables, [field], rows)
    counter = Counter(markdown.cell(row.fields.get(field.name), names) or "(empty)" for row in rows)
    lines = [[name, str(count)] for name, count in counter.most_common()]
    return f"{markdown.counted(len(rows), 'record')} in {about}:\n\n{markdown.table([field.name, 'Records'], lines)}"
