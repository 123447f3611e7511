"""Which numbers a request means: a field, the table it is in, and the field to group by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyairtable_devkit.gemini.planner.links import linked_table
from pyairtable_devkit.gemini.planner.outcome import AskUser
from pyairtable_devkit.gemini.planner.schema import DATE_TYPES, FieldInfo, Table, find_field, primary, tables_by_fit
from pyairtable_devkit.gemini.planner.words import fit, stems, with_synonyms
from pyairtable_devkit.gemini.planner.world import World

PERIODS = {"month": 7, "year": 4, "day": 10}
"""Characters of an ISO date that tell the period."""

_GENERIC = {"amount", "total", "cost", "price", "hour", "value", "quantity", "sum"}
_CANDIDATES = 4


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers a request means: a field of a table, and what to group them by (None: not at all)."""

    table: Table
    fields: list[FieldInfo]
    measure: FieldInfo
    group: FieldInfo | None
    score: float


def find_numbers(text: str, wanted: str, group: str, tables: Sequence[Table], world: World) -> Numbers:
    """The best number field: first in the tables whose names fit, then in all of them."""
    words = with_synonyms(stems(text))
    fitting = tables_by_fit(words, tables)[:_CANDIDATES]
    telling = [table for table in tables if table not in fitting and _tells_of(wanted, table)]
    for candidates in ([*fitting, *telling[:_CANDIDATES]], tables):
        all_fields = world.fields(candidates) if candidates else []
        found = [
            numbers
            for table, fields in zip(candidates, all_fields, strict=True)
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
) -> Numbers | None:
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
    return Numbers(table, fields, field, group_field, score)


def _group_field(group: str, table: Table, fields: Sequence[FieldInfo], tables: Sequence[Table]) -> FieldInfo | None:
    """The field to group by: called so, linking to a table called so, a date for a period, or the record itself."""
    words = set(stems(group))
    if words & set(PERIODS):
        return next((field for field in fields if field.type in DATE_TYPES), None)
    groupable = [field for field in fields if not field.is_number]
    linking = [
        field for field in groupable if (other := linked_table(field, tables)) and fit(other.name, words) >= 0.55
    ]
    if linking:
        return linking[0]
    found = find_field(group, groupable)
    return found or (primary(fields) if fit(table.name, words) >= 0.55 else None)
