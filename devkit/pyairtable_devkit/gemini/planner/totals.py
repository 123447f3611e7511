"""Recipe for sums and averages: find the numbers, the table they are in and what to group by, then add up."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from pyairtable_devkit.gemini.planner import markdown
from pyairtable_devkit.gemini.planner.conditions import (
    Condition,
    conditions_in,
    described,
    holds,
    joined_formula,
    linked_in,
    partly_named,
    primary_in,
)
from pyairtable_devkit.gemini.planner.figures import PERIODS, Numbers, find_numbers
from pyairtable_devkit.gemini.planner.leftover import note
from pyairtable_devkit.gemini.planner.links import linked_table, linked_tables, merged, read_with_names
from pyairtable_devkit.gemini.planner.markdown import Names
from pyairtable_devkit.gemini.planner.outcome import AskUser
from pyairtable_devkit.gemini.planner.reading import named_links, none_found, words_left
from pyairtable_devkit.gemini.planner.schema import (
    FieldInfo,
    Record,
    Table,
    primary,
)
from pyairtable_devkit.gemini.planner.words import quoted, stems, with_synonyms
from pyairtable_devkit.gemini.planner.world import Query, World

_STOPS = (
    r"(?:per|by|for|of|in|on|each|every|across|from|is|are|was|were|did|has|have|do|does|with|where|and|this|last|"
    r"since)"
)
_END = rf"(?=\s*(?:[?.!,;]|$|\b{_STOPS}\b))"
_ADDING = (
    r"(?:total|sum of|sum up|sum|add up|average|mean|avg|highest|largest|biggest|most expensive|maximum|lowest|"
    r"smallest|cheapest|minimum|most|least)"
)
_MEASURES = (
    re.compile(rf"\bhow (?:many|much)\s+(?!is\b|was\b|were\b|did\b|do\b)(?P<what>[\w ]+?){_END}", re.IGNORECASE),
    re.compile(rf"\b{_ADDING}\s+(?:number of\s+)?(?:the |all |our |my |of )*(?P<what>[\w ]+?){_END}", re.IGNORECASE),
)
_GROUP = re.compile(
    r"\b(?:per|for each|for every|by each|by|each|every)\s+(?:the )?(?P<what>[a-z][\w ]*?)"
    r"(?=\s*(?:[?.!,;]|$|\b(?:in|for|with|where|and|of|from|on|this|last|since|sorted)\b))",
    re.IGNORECASE,
)
_WHICH = re.compile(r"^which (?P<what>\w+)\b.*\b(?:most|highest|least|lowest|largest|more)\b", re.IGNORECASE)
_NONE = "(none)"

Aggregate = Callable[[Sequence[float]], float]
_AGGREGATES: tuple[tuple[re.Pattern[str], str, Aggregate], ...] = (
    (re.compile(r"\b(average|mean|avg)\b", re.I), "Average", lambda values: fsum(values) / len(values)),
    (re.compile(r"\b(highest|largest|biggest|most expensive|maximum)\b", re.I), "Highest", max),
    (re.compile(r"\b(lowest|smallest|cheapest|minimum)\b", re.I), "Lowest", min),
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """How to add up: under which name, with what, by which period (0: none), and whether the winner is wanted."""

    label: str
    aggregate: Aggregate
    period: int
    most: bool


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read: rows that count, names of linked records, those of the records grouped by."""

    rows: list[Record]
    conditions: list[Condition]
    complete: bool
    left: list[str]
    names: Names
    groups: Names


def total(text: str, world: World) -> str:
    """ "How many hours were worked on each project?", "average budget of the projects" """
    grouped = _GROUP.search(text) or _WHICH.search(text)
    group_words = grouped["what"] if grouped else ""
    tables = world.tables()
    numbers = find_numbers(text, _measure(text), group_words, tables, world)
    rest = text[: grouped.start()] + " " + text[grouped.end() :] if grouped else text
    read = _read(rest, numbers, tables, world, _measure(text))
    left = note(_without_names(read.left, text))
    if not read.rows:
        return left + none_found(numbers.table, read.conditions, read.complete)
    about = f"From {markdown.counted(len(read.rows), 'record')} in {numbers.table.name}{described(read.conditions)}"
    about += "." if read.complete else "; there are more that I did not read."
    asked = _asked(text, group_words)
    answer = _overall(read, numbers, asked) if numbers.group is None else _by_group(read, numbers, numbers.group, asked)
    return f"{left}{answer}\n\n{about}"


def _without_names(left: list[str], text: str) -> list[str]:
    """What was left over; a name among it is asked for, because a sum of all records would be no answer."""
    for part in left:
        if (part[0].isupper() and not text.startswith(part)) or part in quoted(text):
            raise AskUser(f"I found no record named '{part}'. Which record do you mean?")
    return left


def _asked(text: str, group_words: str) -> _Asked:
    label, aggregate = next(((name, do) for pattern, name, do in _AGGREGATES if pattern.search(text)), ("Total", fsum))
    period = PERIODS.get(next(iter(stems(group_words)), ""), 0)
    return _Asked(label, aggregate, period, _WHICH.search(text) is not None)


def _overall(read: _Read, numbers: Numbers, asked: _Asked) -> str:
    value = asked.aggregate([_value(row, numbers.measure) for row in read.rows])
    whose = _whose(read.rows, numbers, value) if asked.aggregate in (max, min) else ""
    return f"{asked.label} {numbers.measure.name}: **{_shown(value, numbers.measure)}**{whose}"


def _whose(rows: Sequence[Record], numbers: Numbers, value: float) -> str:
    """ " (name of the record that has the value)" """
    first = primary(numbers.fields).name
    names = [markdown.cell(row.fields.get(first), {}) for row in rows if _value(row, numbers.measure) == value]
    return f" ({', '.join(names[:3])})"


def _measure(text: str) -> str:
    found = next((found for pattern in _MEASURES if (found := pattern.search(text))), None)
    return found["what"] if found else text


def _read(text: str, numbers: Numbers, tables: Sequence[Table], world: World, measured: str) -> _Read:
    """The rows with a number that the rest of the request (without its grouping) is about."""
    conditions = conditions_in(text, [field for field in numbers.fields if field != numbers.measure], world.today)
    links, grouping = named_links(text, numbers.fields), [numbers.group] if numbers.group else []
    used = [primary(numbers.fields), numbers.measure, *links, *grouping]
    columns = tuple(dict.fromkeys([*(field.name for field in used), *(item.field for item in conditions)]))
    formula = joined_formula(conditions) if world.toolbox.takes("get_records", "formula") else ""
    linked = linked_tables([*grouping, *links], tables)
    (read,), names = read_with_names(world, [Query(numbers.table, columns, formula)], linked)
    conditions += linked_in(text, links, tables, names)
    conditions += primary_in(text, numbers.fields, read.rows)
    known = [numbers.table.name, numbers.measure.name, *_measured(measured, numbers)]
    conditions += partly_named(words_left(text, known, conditions, numbers.fields, tables), text, links, tables, names)
    left = words_left(text, known, conditions, numbers.fields, tables)
    rows = [row for row in read.rows if holds(conditions, row) and _is_number(row, numbers.measure)]
    group_table = linked_table(numbers.group, tables) if numbers.group else None
    groups = names.get(group_table.id, {}) if group_table else {}
    return _Read(rows, conditions, read.complete, left, merged(names), groups)


def _measured(words: str, numbers: Numbers) -> list[str]:
    """The words of a request that mean the field to add up."""
    return [word for word in stems(words) if word in with_synonyms(stems(numbers.measure.name))]


def _by_group(read: _Read, numbers: Numbers, group: FieldInfo, asked: _Asked) -> str:
    """A table of the groups, the largest first; in a total of everything also the linked records that have nothing."""
    values: dict[str, list[float]] = {}
    if asked.label == "Total" and not read.conditions:
        values = {key: [] for key in read.groups}
    for row in read.rows:
        for key in _group_keys(row.fields.get(group.name), asked.period):
            values.setdefault(key, []).append(_value(row, numbers.measure))
    results = {key: asked.aggregate(found) for key, found in values.items()}
    names = {key: read.names.get(key, key) for key in results}
    order = sorted(results, key=lambda key: (key == _NONE, key if asked.period else "", -results[key], names[key]))
    lines = [[names[key], _shown(results[key], numbers.measure)] for key in order]
    overall = _shown(asked.aggregate([_value(row, numbers.measure) for row in read.rows]), numbers.measure)
    lines.append([f"**{'Total' if asked.label == 'Total' else 'All'}**", f"**{overall}**"])
    heading = numbers.measure.name if asked.label == "Total" else f"{asked.label} {numbers.measure.name}"
    answer = f"{asked.label} {numbers.measure.name} by {group.name}:\n\n{markdown.table([group.name, heading], lines)}"
    best = next((key for key in order if key != _NONE), _NONE)
    most = f"\n\nMost: **{names[best]}** ({_shown(results[best], numbers.measure)})."
    return answer + (most if asked.most else "")


def _group_keys(value: Any, period: int) -> list[str]:
    """What a cell is grouped under: the linked records' ids (two of the same name stay two), choices, the period."""
    if value in (None, "", []):
        return [_NONE]
    if period:
        return [str(value)[:period]]
    return [markdown.cell(item, {}) for item in (value if isinstance(value, list) else [value])]


def _is_number(row: Record, field: FieldInfo) -> bool:
    value = row.fields.get(field.name)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(row: Record, field: FieldInfo) -> float:
    """The cell as a number; durations come in seconds (Airtable docs: field types) and are added up in hours."""
    value = float(row.fields[field.name])
    return value / 3600 if field.type == "duration" else value


def _shown(value: float, field: FieldInfo) -> str:
    if field.type == "percent":
        return markdown.number(value * 100) + " %"
    return markdown.number(round(value, 2)) + (" h" if field.type == "duration" else "")
