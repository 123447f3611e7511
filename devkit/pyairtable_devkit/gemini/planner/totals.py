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
    primary_in,
)
from pyairtable_devkit.gemini.planner.links import linked_table, linked_tables, merged, read_with_names
from pyairtable_devkit.gemini.planner.markdown import Names
from pyairtable_devkit.gemini.planner.outcome import AskUser
from pyairtable_devkit.gemini.planner.reading import named_links, none_found
from pyairtable_devkit.gemini.planner.schema import (
    DATE_TYPES,
    FieldInfo,
    Record,
    Table,
    find_field,
    primary,
    tables_by_fit,
)
from pyairtable_devkit.gemini.planner.words import fit, stems, with_synonyms
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
_GENERIC = {"amount", "total", "cost", "price", "hour", "value", "quantity", "sum"}
_PERIODS = {"month": 7, "year": 4, "day": 10}
_CANDIDATES = 4
_NONE = "(none)"

Aggregate = Callable[[Sequence[float]], float]
_AGGREGATES: tuple[tuple[re.Pattern[str], str, Aggregate], ...] = (
    (re.compile(r"\b(average|mean|avg)\b", re.I), "Average", lambda values: fsum(values) / len(values)),
    (re.compile(r"\b(highest|largest|biggest|most expensive|maximum)\b", re.I), "Highest", max),
    (re.compile(r"\b(lowest|smallest|cheapest|minimum)\b", re.I), "Lowest", min),
)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers a request means: a field of a table, and what to group them by (None: not at all)."""

    table: Table
    fields: list[FieldInfo]
    measure: FieldInfo
    group: FieldInfo | None
    score: float


def total(text: str, world: World) -> str:
    """ "How many hours were worked on each project?", "average budget of the projects" """
    wanted, grouped = _measure(text), _GROUP.search(text) or _WHICH.search(text)
    group_words = grouped["what"] if grouped else ""
    tables = world.tables()
    numbers = _find_numbers(text, wanted, group_words, tables, world)
    rows, names, conditions, complete = _read(text, grouped, numbers, tables, world)
    if not rows:
        return none_found(numbers.table, conditions, complete)
    label, aggregate = _aggregate(text)
    about = f"From {markdown.counted(len(rows), 'record')} in {numbers.table.name}{described(conditions)}"
    about += "." if complete else "; there are more that I did not read."
    if numbers.group is None:
        value = aggregate([_value(row, numbers.measure) for row in rows])
        whose = _whose(rows, numbers, value) if aggregate in (max, min) else ""
        return f"{label} {numbers.measure.name}: **{_shown(value, numbers.measure)}**{whose}\n\n{about}"
    period = _PERIODS.get(next(iter(stems(group_words)), ""), 0)
    return _by_group(rows, numbers, names, label, aggregate, about, period, _WHICH.search(text) is not None)


def _whose(rows: Sequence[Record], numbers: _Numbers, value: float) -> str:
    """ " (name of the record that has the value)" """
    first = primary(numbers.fields).name
    names = [markdown.cell(row.fields.get(first), {}) for row in rows if _value(row, numbers.measure) == value]
    return f" ({', '.join(names[:3])})"


def _measure(text: str) -> str:
    found = next((found for pattern in _MEASURES if (found := pattern.search(text))), None)
    return found["what"] if found else text


def _aggregate(text: str) -> tuple[str, Aggregate]:
    return next(((label, do) for pattern, label, do in _AGGREGATES if pattern.search(text)), ("Total", fsum))


def _find_numbers(text: str, wanted: str, group: str, tables: Sequence[Table], world: World) -> _Numbers:
    """The best number field: first in the tables whose names fit, then in all of them."""
    words = with_synonyms(stems(text))
    fitting = tables_by_fit(words, tables)[:_CANDIDATES]
    telling = [table for table in tables if table not in fitting and _tells_of(wanted, table)]
    for candidates in ([*fitting, *telling[:_CANDIDATES]], tables):
        described_fields = world.fields(candidates) if candidates else []
        found = [
            numbers
            for table, fields in zip(candidates, described_fields, strict=True)
            for field in fields
            if field.is_number and (numbers := _rated(table, fields, field, wanted, group, words, tables))
        ]
        if found:
            best = max(found, key=lambda numbers: numbers.score)
            if group and best.group is None:
                names = ", ".join(field.name for field in best.fields)
                raise AskUser(f"{best.table.name} has no field for '{group}'. By which should I group: {names}?")
            return best
    raise AskUser(f"I found no number field for '{wanted.strip()}'. Which table and field should I add up?")


def _tells_of(wanted: str, table: Table) -> bool:
    """Whether the list of tables already names a field of this one that fits."""
    names = table.raw.get("fields")
    words = with_synonyms(stems(wanted))
    return isinstance(names, list) and any(isinstance(name, str) and fit(name, words) >= 0.55 for name in names)


def _rated(
    table: Table,
    fields: list[FieldInfo],
    field: FieldInfo,
    wanted: str,
    group: str,
    words: set[str],
    tables: Sequence[Table],
) -> _Numbers | None:
    """How well a field is what was meant; its own numbers count more than those computed from elsewhere."""
    measure_words = with_synonyms(stems(wanted))
    own = fit(field.name, measure_words)
    by_table = fit(table.name, measure_words)
    if not own and not (by_table and (field.is_currency or set(stems(field.name)) & _GENERIC)):
        return None
    score = own or 0.4
    score += 0.2 * (field.is_currency) - 0.15 * field.is_computed + fit(table.name, words)
    group_field = _group_field(group, table, fields, tables) if group else None
    if group_field is not None and not group_field.is_primary:
        score += 1.5
    elif group and group_field is None:
        score -= 2
    return _Numbers(table, fields, field, group_field, score)


def _group_field(group: str, table: Table, fields: Sequence[FieldInfo], tables: Sequence[Table]) -> FieldInfo | None:
    """The field to group by: called so, linking to a table called so, a date for a period, or the record itself."""
    words = set(stems(group))
    if words & set(_PERIODS):
        return next((field for field in fields if field.type in DATE_TYPES), None)
    groupable = [field for field in fields if not field.is_number]
    linking = [
        field for field in groupable if (other := linked_table(field, tables)) and fit(other.name, words) >= 0.55
    ]
    if linking:
        return linking[0]
    found = find_field(group, groupable)
    return found or (primary(fields) if fit(table.name, words) >= 0.55 else None)


def _read(
    text: str, grouped: re.Match[str] | None, numbers: _Numbers, tables: Sequence[Table], world: World
) -> tuple[list[Record], Names, list[Condition], bool]:
    rest = text[: grouped.start()] + " " + text[grouped.end() :] if grouped else text
    conditions = conditions_in(rest, [f for f in numbers.fields if f != numbers.measure], world.today)
    links = named_links(rest, numbers.fields)
    linked = linked_tables([*([numbers.group] if numbers.group else []), *links], tables)
    used = [primary(numbers.fields), numbers.measure, *links, *([numbers.group] if numbers.group else [])]
    columns = tuple(dict.fromkeys([*(field.name for field in used), *(item.field for item in conditions)]))
    formula = joined_formula(conditions) if world.toolbox.takes("get_records", "formula") else ""
    (read,), names = read_with_names(world, [Query(numbers.table, columns, formula)], linked)
    conditions += linked_in(rest, links, tables, names)
    conditions += primary_in(rest, numbers.fields, read.rows)
    rows = [row for row in read.rows if holds(conditions, row) and _is_number(row, numbers.measure)]
    return rows, merged(names), conditions, read.complete


def _by_group(
    rows: Sequence[Record],
    numbers: _Numbers,
    names: Names,
    label: str,
    aggregate: Aggregate,
    about: str,
    period: int,
    most: bool,
) -> str:
    assert numbers.group is not None
    groups: dict[str, list[float]] = {}
    for row in rows:
        for name in _group_names(row.fields.get(numbers.group.name), names, period):
            groups.setdefault(name, []).append(_value(row, numbers.measure))
    results = {name: aggregate(values) for name, values in groups.items()}
    order = sorted(results, key=lambda name: (name == _NONE, name if period else "", -results[name], name))
    lines = [[name, _shown(results[name], numbers.measure)] for name in order]
    overall = aggregate([_value(row, numbers.measure) for row in rows])
    lines.append([f"**{'Total' if label == 'Total' else 'All'}**", f"**{_shown(overall, numbers.measure)}**"])
    heading = numbers.measure.name if label == "Total" else f"{label} {numbers.measure.name}"
    shown = markdown.table([numbers.group.name, heading], lines)
    best = next((name for name in order if name != _NONE), _NONE)
    about += f"\n\nMost: **{best}** ({_shown(results[best], numbers.measure)})." if most else ""
    return f"{label} {numbers.measure.name} by {numbers.group.name}:\n\n{shown}\n\n{about}"


def _group_names(value: Any, names: Names, period: int) -> list[str]:
    if value in (None, "", []):
        return [_NONE]
    if period:
        return [str(value)[:period]]
    return [markdown.cell(item, names) for item in value] if isinstance(value, list) else [markdown.cell(value, names)]


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
