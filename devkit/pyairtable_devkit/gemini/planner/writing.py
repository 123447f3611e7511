"""Recipes that write: create, update, delete."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pyairtable_devkit.gemini.planner import markdown, shapes
from pyairtable_devkit.gemini.planner.assignments import Masked, assignments, cell_values, refuse_leftover
from pyairtable_devkit.gemini.planner.links import linked_table
from pyairtable_devkit.gemini.planner.outcome import AskUser, CannotDo
from pyairtable_devkit.gemini.planner.schema import (
    LINK_TYPES,
    FieldInfo,
    Table,
    find_field,
    primary,
    require_table,
)
from pyairtable_devkit.gemini.planner.targets import fields_and_record, locate_table, split_where, the_record
from pyairtable_devkit.gemini.planner.words import FILLER, QUOTED, record_ids, rest_after, stem, stems
from pyairtable_devkit.gemini.planner.world import World

_VERB = re.compile(r"^\w+\s+(?:(?:a|an|the|new|another|some|two|three)\s+)*", re.IGNORECASE)
_HEAD_END = re.compile(
    r"\b(?:for|with|where|on|due|in|into|to|and set|assigned|by|whose|of|worth)\b|[:;]|,(?!\s*(?:and\s+)?⟦)",
    re.IGNORECASE,
)
_CALLED = re.compile(
    r"\b(?:named|called|titled)\s+(?P<name>⟦\d+⟧|.+?)(?=\s+(?:for|with|in|to|on|and)\b|[,;]|[.!?]*$)", re.I
)
_WHO_TO_VALUE = r"(?P<who>.+?)\s+to\s+(?P<value>.+)$"
_FIELD_OF_WHO = r"(?P<field>⟦\d+⟧|[\w ]+?)\s+(?:of|for|on|in)\s+(?P<who>.+?)"
_SET = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"^(?:set|change|update|put)\s+(?:the\s+)?{_FIELD_OF_WHO}\s+(?:to|as|=)\s+(?P<value>.+)$",
        r"^(?:mark|flag)\s+(?P<who>.+?)\s+(?:as|to)\s+(?P<value>.+)$",
        rf"^(?:assign|move|rename)\s+{_WHO_TO_VALUE}",
        rf"^(?:set|change|update)\s+{_WHO_TO_VALUE}",
    )
)
_FINISH = re.compile(r"^(?:complete|close|finish)\s+(?P<who>.+)$", re.IGNORECASE)
_UPDATE_WITH = re.compile(
    r"^(?:update|change|edit)\s+(?P<who>.+?)\s*(?::|,?\s*(?:and\s+)?\b(?:set|setting)\b|\bwith\b)\s*(?P<rest>.+)$",
    re.IGNORECASE,
)
_AND_MORE = re.compile(r"\s+and\s+(?:set\s+)?(?:its\s+|the\s+)?(?P<more>(?:⟦\d+⟧|\w[\w ]*?)\s+to\s+.+)$", re.IGNORECASE)
_MARK = re.compile(r"⟦\d+⟧")
_FIRST_WORD = re.compile(r"^\w+\s*")
_ENDS = ("done", "completed", "complete", "finished", "closed")


def create_records(text: str, world: World) -> str:
    """ "Create a task 'Order tiles' for project 'Villa Rosa' with status Open" """
    masked = Masked(text.rstrip(" .!?"), QUOTED)
    if re.match(r"\w+ (?:a |the |new )*table\b", masked.text, re.IGNORECASE):
        raise CannotDo("None of the tools I was given can create a table of your own design.")
    tables = world.tables()
    request, table = split_where(masked, tables)
    head = _VERB.sub("", request)
    cut = _HEAD_END.search(head)
    noun, rest = (head[: cut.start()], head[cut.start() :]) if cut else (head, "")
    table = table or require_table(masked.without_quotes(noun), tables)
    fields = world.fields([table])[0]
    names = _names(noun, head, masked, table)
    first = primary(fields)
    if masked.quotes_in(noun):
        rest = f"{_beside_quotes(noun, table)} {rest}"
    elif names and (split := _number_part(names[0])):
        rest = f", {names[0][split:]} {rest}"
        names = [names[0][:split].strip()]
    assigned = assignments(_CALLED.sub(" ", rest), masked, fields, tables)
    names = names or [value for field, value in assigned if field == first]
    if not names and not first.is_computed:
        raise AskUser(f"What should the new record in {table.name} be called?")
    values = cell_values([pair for pair in assigned if pair[0] != first], tables, world)
    rows = [{first.name: name, **values} for name in names] or [values]
    names_of_ids = {
        id: text for field, text in assigned if field.type in LINK_TYPES for id in values.get(field.name, ())
    }
    return _created(rows, table, first, names_of_ids, world)


def _names(noun: str, head: str, masked: Masked, table: Table) -> list[str]:
    """What the new records are called: quoted, after "called", or the words that follow the table's name."""
    called = _CALLED.search(head)
    if called:
        return [masked.restore(called["name"])]
    quotes = masked.quotes_in(noun)
    return quotes or ([name] if (name := rest_after(noun, table.name)) else [])


def _beside_quotes(noun: str, table: Table) -> str:
    """What stands beside the quoted names of new records, without the table's name."""
    own = {*stems(table.name), *FILLER}
    return " ".join(word for word in re.split(r"[\s,]+", _MARK.sub(" , ", noun)) if not set(stems(word)) <= own)


def _number_part(name: str) -> int:
    """Where a name without quotes goes over to something with digits ("Jane Doe phone 0123"), or 0."""
    found = re.search(r"\s(?:\w+\s+)[+\d][\d\s-]{4,}$", name)
    return found.start() if found else 0


def _created(
    rows: Sequence[dict[str, Any]], table: Table, first: FieldInfo, names: markdown.Names, world: World
) -> str:
    if len(rows) > 1 and world.toolbox.has("batch_create"):
        payload = [{"fields": row} for row in rows] if world.toolbox.wraps_rows() else list(rows)
        results = world.write([world.call("batch_create", table=table.id, rows=payload)])
    else:
        results = world.write([world.call("create_record", table=table.id, values=row) for row in rows])
    made = [record for result in results for record in shapes.records_in(result)]
    ids = [str(record["id"]) for record in made]
    named = ", ".join(f"**{row.get(first.name, 'a record')}**" for row in rows)
    told = f" ({', '.join(ids)})" if ids else ""
    cells = rows[0]  # what was sent: the computed fields of a new record say nothing
    shown = markdown.table(["Field", "Value"], [[name, markdown.cell(value, names)] for name, value in cells.items()])
    return f"I created {named} in {table.name}{told}:\n\n{shown}"


def update_record(text: str, world: World) -> str:
    """ "Set the status of task 'Order tiles' to Done", "mark task X as done", "update task X with budget 5" """
    masked = Masked(text.rstrip(" .!?"), QUOTED)
    tables = world.tables()
    request, where = split_where(masked, tables)
    who, field_words, value, rest = _parse_update(request)
    table = where or locate_table(who, masked, tables, world)
    fields = fields_and_record(who, masked, table, world)
    if rest:
        assigned = assignments(" " + rest, masked, fields, tables)
    else:
        more = _AND_MORE.search(value)
        value = value[: more.start()] if more else value
        field, who = _target_field(who, masked.restore(field_words), masked.restore(value), text, fields, tables)
        assigned = [(field, masked.restore(value))]
        assigned += assignments(f" {more['more']}", masked, fields, tables) if more else []
    if not assigned:
        raise AskUser(f"Which field of {table.name} should I set, and to what?")
    _refuse_beside(who, masked, table, fields)
    record = the_record(who, masked, table, fields, world)
    values = cell_values(assigned, tables, world)
    world.write([world.call("update_record", table=table.id, record=record.id, values=values)])
    first = primary(fields)
    done = ", ".join(f"{field.name} to **{wanted}**" for field, wanted in _shown(assigned, values, tables))
    return f"I set {done} on **{record.fields.get(first.name, record.id)}** in {table.name} ({record.id})."


def _refuse_beside(who: str, masked: Masked, table: Table, fields: Sequence[FieldInfo]) -> None:
    """AskUser when more is said of the record than its quoted name or id: "'A' and 'B'", "'A' if it is late"."""
    ids = record_ids(masked.restore(who))
    quotes = masked.quotes_in(who)
    if ids or quotes:
        others = f"{masked.without_quotes(who)} {' '.join(quotes[1:])}"
        names = [table.name, *ids, *(field.name for field in fields)]
        refuse_leftover(others, names, "Please name one record at a time.")


def _shown(
    assigned: Sequence[tuple[FieldInfo, str]], values: dict[str, Any], tables: Sequence[Table]
) -> list[tuple[FieldInfo, str]]:
    shown = []
    for field, text in assigned:
        linked = linked_table(field, tables) if field.type in LINK_TYPES else None
        plain = rest_after(text, f"{field.name} {linked.name}") if linked else markdown.cell(values[field.name], {})
        shown.append((field, plain))
    return shown


def _parse_update(text: str) -> tuple[str, str, str, str]:
    """Who is changed, the words that name the field, the value, or (instead of those) a list of assignments."""
    found = _UPDATE_WITH.match(text)
    if found:
        return found["who"], "", "", found["rest"]
    for pattern in _SET:
        found = pattern.match(text)
        if found:
            return found["who"], found.groupdict().get("field") or "", found["value"], ""
    found = _FINISH.match(text)
    if found:
        return found["who"], "", "done", ""
    raise AskUser("Which record should I change, and what should it be?")


def _target_field(
    who: str, named: str, value: str, text: str, fields: Sequence[FieldInfo], tables: Sequence[Table]
) -> tuple[FieldInfo, str]:
    """The field to set, and `who` without the words that named it."""
    if named:
        field = find_field(named, fields)
        if field is None:
            names = ", ".join(item.name for item in fields)
            raise AskUser(f"There is no field '{named}'. Which one do you mean: {names}?")
        return field, who
    if text.lower().startswith("rename"):
        return primary(fields), who
    for field in sorted(fields, key=lambda item: -len(item.name)):
        tail = re.search(rf"(?:'s|’s)?\s+{re.escape(field.name)}$", who, re.IGNORECASE)
        if tail:
            return field, who[: tail.start()]
    return _field_of_value(value, fields, tables), who


def _field_of_value(value: str, fields: Sequence[FieldInfo], tables: Sequence[Table]) -> FieldInfo:
    """The field that can hold a value: a choice, a checkbox of that name, a link to a table that is named."""
    wanted = {value.casefold(), *(_ENDS if value.casefold() in _ENDS else ())}
    for field in fields:
        if any(choice.casefold() in wanted for choice in field.choices):
            return field
    for field in fields:
        if field.type == "checkbox" and stem(field.name) in {stem(word) for word in wanted}:
            return field
    words = set(stems(value))
    for field in fields:
        other = linked_table(field, tables) if field.type in LINK_TYPES else None
        if other is not None and set(stems(other.name)) & words:
            return field
    raise AskUser(f"Which field should be '{value}'? There are: {', '.join(field.name for field in fields)}.")


def delete_record(text: str, world: World) -> str:
    """ "Delete the task 'Order tiles'", "remove recXXXXXXXXXXXXXX from Tasks" """
    masked = Masked(text.rstrip(" .!?"), QUOTED)
    tables = world.tables()
    request, where = split_where(masked, tables)
    who = _FIRST_WORD.sub("", request)
    table = where or locate_table(who, masked, tables, world)
    fields = fields_and_record(who, masked, table, world)
    _refuse_beside(who, masked, table, fields)
    record = the_record(who, masked, table, fields, world)
    world.write([world.call("delete_record", table=table.id, record=record.id)])
    name = record.fields.get(primary(fields).name, record.id)
    return f"I deleted **{name}** from {table.name} ({record.id})."
