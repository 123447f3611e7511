"""Conditions hidden in a request: "open tasks", "invoices over 500", "in October", "for project Villa Rosa"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from pyairtable_devkit.gemini.planner.links import NamesByTable, linked_table
from pyairtable_devkit.gemini.planner.markdown import Names, cell
from pyairtable_devkit.gemini.planner.negation import negation
from pyairtable_devkit.gemini.planner.periods import Period, periods_in
from pyairtable_devkit.gemini.planner.schema import (
    DATE_TYPES,
    LINK_TYPES,
    SELECT_TYPES,
    FieldInfo,
    Record,
    Table,
    find_field,
)
from pyairtable_devkit.gemini.planner.shapes import strings_in
from pyairtable_devkit.gemini.planner.words import same, stems

_CLOSED = {
    "done", "complete", "completed", "closed", "finished", "cancelled", "canceled", "paid", "resolved", "archived",
    "delivered", "posted", "published", "won", "lost",
}  # fmt: skip
_OPEN = re.compile(
    r"\b(open|unfinished|incomplete|pending|outstanding|overdue|unpaid|"
    r"(?:not|isn['’]t|aren['’]t) (?:yet )?(?:done|finished|completed?|closed))\b"
)
_EXPLICIT = re.compile(
    r"\b(?:where|whose|with|having)\s+(?:the\s+|an?\s+)?(?P<field>[\w ]+?)\s+"
    r"(?P<op>is not(?: yet)?|isn['’]t(?: yet)?|does not equal|!=|is|equals|=|>=|<=|>|<|"
    r"over|above|more than|less than|under|below)\s+"
    r"(?P<value>[^,?]+?)(?=\s+and\b|[,?]|\.?$)",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"\b(over|above|more than|less than|under|below)\s+(\d[\d,.]*)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one field's cell.

    `formula` says the same to Airtable, "" when it cannot be said simply; `said` is what it was read from.
    """

    field: str
    label: str
    test: Callable[[Any], bool]
    formula: str = ""
    said: str = ""

    def unless(self, negation: str) -> Condition:
        """The opposite when there are words that negate it."""
        if not negation:
            return self
        told = f"{self.field} is "
        label = self.label.replace(told, told + "not ", 1) if told in self.label else f"not {self.label}"
        return Condition(self.field, label, lambda held: not self.test(held), said=f"{negation} {self.said}")


def holds(conditions: Sequence[Condition], record: Record) -> bool:
    """Whether a record meets all conditions."""
    return all(condition.test(record.fields.get(condition.field)) for condition in conditions)


def joined_formula(conditions: Sequence[Condition]) -> str:
    """One formula for the conditions that have one; they are tested again on what comes back."""
    formulas = [condition.formula for condition in conditions if condition.formula]
    return formulas[0] if len(formulas) == 1 else f"AND({', '.join(formulas)})" if formulas else ""


def described(conditions: Sequence[Condition]) -> str:
    """ " with Status is Open and ...", or ""."""
    return " where " + " and ".join(condition.label for condition in conditions) if conditions else ""


def conditions_in(text: str, fields: Sequence[FieldInfo], today: date) -> list[Condition]:
    """The conditions a text puts on records of a table with these fields; links are left to `linked_in`."""
    explicit: list[Condition] = []
    rest = _EXPLICIT.sub(lambda found: _kept(found, fields, explicit), text)
    taken = {condition.field for condition in explicit}
    free = [field for field in fields if field.name not in taken]
    chosen = _choices(rest, free)
    if not chosen:
        chosen = _checked(rest, free) or _open(rest.lower(), free, today)
    return [*explicit, *chosen, *_amounts(rest, free), *_dates(rest, free, today)]


def _kept(found: re.Match[str], fields: Sequence[FieldInfo], made: list[Condition]) -> str:
    """What stays of a text that reads like a condition: nothing when it is one, which is added to `made`."""
    condition = _explicit(found, fields)
    if condition is None:
        return found.group()
    made.append(replace(condition, said=found.group()))
    return " "


def linked_in(text: str, fields: Sequence[FieldInfo], tables: Sequence[Table], names: NamesByTable) -> list[Condition]:
    """Conditions on link fields: a linked record's name that stands in the text, once for each linked table."""
    found: dict[str, Condition] = {}
    for field in fields:
        table = linked_table(field, tables) if field.type in LINK_TYPES else None
        if table is None or table.id in found:
            continue
        wanted = _named(text, names.get(table.id, {}))
        if wanted:
            found[table.id] = _names(field, text, set(wanted.values()), wanted)
    return list(found.values())


def partly_named(
    phrases: Sequence[str], text: str, fields: Sequence[FieldInfo], tables: Sequence[Table], names: NamesByTable
) -> list[Condition]:
    """Conditions on linked records of which a phrase gives a part of the name: "Old Mill"."""
    for field in fields:
        table = linked_table(field, tables) if field.type in LINK_TYPES else None
        known = names.get(table.id, {}) if table else {}
        for phrase in phrases:
            wanted = {key: name for key, name in known.items() if _holds_words(name, phrase)}
            if wanted:
                listed = sorted(set(wanted.values()))
                label = f"{field.name} is {' or '.join(listed)}"
                condition = Condition(field.name, label, _any_of({*wanted, *listed}), said=phrase)
                return [condition.unless(negation(text, text.find(phrase)))]
    return []


def _holds_words(name: str, phrase: str) -> bool:
    return re.search(rf"\b{re.escape(' '.join(stems(phrase)))}\b", " ".join(stems(name))) is not None


def _names(field: FieldInfo, text: str, named: set[str], ids: Iterable[str] = ()) -> Condition:
    """That a field holds one of the names that stand in the text; or none of them, when "not" stands before."""
    first = min((found.start() for name in named if (found := _place(name, text))), default=0)
    listed = sorted(named)
    condition = Condition(
        field.name, f"{field.name} is {' or '.join(listed)}", _any_of({*named, *ids}), said=" ".join(listed)
    )
    return condition.unless(negation(text, first))


def _named(text: str, names: Names) -> Names:
    """The names that stand in the text as whole words, without those that are part of a longer one there."""
    inside = {key: name for key, name in names.items() if len(name) > 2 and _place(name, text)}
    longer = {name for name in inside.values() if any(name != other and name in other for other in inside.values())}
    return {key: name for key, name in inside.items() if name not in longer}


def _place(name: str, text: str) -> re.Match[str] | None:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)


def primary_in(text: str, fields: Sequence[FieldInfo], rows: Sequence[Record]) -> list[Condition]:
    """A condition on the records themselves, when some of their names stand in the text, written just so."""
    first = next((field for field in fields if field.is_primary), None)
    if first is None:
        return []
    names = {row.id: str(row.fields.get(first.name, "")) for row in rows}
    written = {name for name in _named(text, names).values() if name in text and not name.isdigit()}
    return [_names(first, text, written)] if written else []


def texts_in(text: str, fields: Sequence[FieldInfo], rows: Sequence[Record]) -> list[Condition]:
    """Conditions on text fields: a value some record has there, after "in", "from" and the like."""
    found = []
    for field in fields:
        if field.type not in ("singleLineText", "formula") or field.is_primary:
            continue
        values = {str(row.fields[field.name]) for row in rows if isinstance(row.fields.get(field.name), str)}
        named = {value for value in values if len(value) > 2 and _follows_preposition(value, text)}
        if named:
            found.append(_names(field, text, named))
    return found


def _follows_preposition(value: str, text: str) -> bool:
    return re.search(rf"\b(?:in|from|at|of|for|by|is)\s+(?:the\s+)?{re.escape(value)}(?!\w)", text, re.I) is not None


def _any_of(wanted: set[str]) -> Callable[[Any], bool]:
    return lambda value: any(text in wanted for text in strings_in(value))


def _explicit(found: re.Match[str], fields: Sequence[FieldInfo]) -> Condition | None:
    field = find_field(found["field"], fields)
    if field is None or field.type in LINK_TYPES:
        return None
    operator, value = found["op"].lower(), found["value"].strip().strip("'\"")
    if field.type in DATE_TYPES and operator == "is":
        return None
    if operator in (">", ">=", "<", "<=", "over", "above", "more than", "less than", "under", "below"):
        return _compared(field, operator, value)
    if operator.startswith(("is not", "isn", "does not", "!=")):
        return Condition(field.name, f"{field.name} is not {value}", lambda held: not _is(held, value))
    return Condition(field.name, f"{field.name} is {value}", lambda held: _is(held, value), _equals(field, value))


def _is(held: Any, value: str) -> bool:
    if isinstance(held, bool) or held is None:
        return bool(held) == (value.casefold() in ("true", "yes", "checked"))
    return any(same(text, value) for text in strings_in(held)) or same(cell(held, {}), value)


def _compared(field: FieldInfo, operator: str, text: str) -> Condition | None:
    found = re.search(r"-?\d[\d,]*(?:\.\d+)?", text)
    if found is None or not field.is_number:
        return None
    limit = float(found.group().replace(",", ""))
    above = operator in (">", ">=", "over", "above", "more than")
    sign = operator if operator in (">=", "<=") else ">" if above else "<"
    checks: dict[str, Callable[[float], bool]] = {
        ">": lambda held: held > limit,
        ">=": lambda held: held >= limit,
        "<": lambda held: held < limit,
        "<=": lambda held: held <= limit,
    }
    check = checks[sign]
    return Condition(
        field.name,
        f"{field.name} {sign} {cell(limit, {})}",
        lambda held: isinstance(held, int | float) and check(held),
        f"{{{field.name}}}{sign}{limit:g}" if _plain_name(field) else "",
    )


def _amounts(text: str, fields: Sequence[FieldInfo]) -> list[Condition]:
    found = _AMOUNT.search(text)
    numbers = [field for field in fields if field.is_number]
    if found is None or not numbers:
        return []
    field = find_field(text[: found.start()], numbers) or next(
        (field for field in numbers if field.type == "currency"), numbers[0]
    )
    made = _compared(field, found.group(1).lower(), found.group(2))
    return [replace(made, said=found.group()).unless(negation(text, found.start()))] if made else []


def _choices(text: str, fields: Sequence[FieldInfo]) -> list[Condition]:
    words = " ".join(stems(text))
    for field in fields:
        if field.type not in SELECT_TYPES:
            continue
        named = {choice: place for choice in field.choices if (place := _stem_place(choice, words))}
        if named and not _is_heading(list(named), field):
            return [_chosen(field, words, named)]
    return []


def _checked(text: str, fields: Sequence[FieldInfo]) -> list[Condition]:
    """A checkbox that is named ("urgent tasks", "not paid"), but not as a column to show ("with urgent")."""
    words = " ".join(stems(text))
    for field in fields:
        place = _stem_place(field.name, words) if field.type == "checkbox" else None
        if place and not re.search(r"\b(?:with|and|show|includ)$", words[: place.start()].rstrip()):
            condition = Condition(field.name, f"{field.name} is checked", bool, said=place.group())
            return [condition.unless(negation(words, place.start()))]
    return []


def _stem_place(choice: str, words: str) -> re.Match[str] | None:
    wanted = " ".join(stems(choice))
    return re.search(rf"\b{re.escape(wanted)}\b", words) if wanted else None


def _chosen(field: FieldInfo, words: str, named: dict[str, re.Match[str]]) -> Condition:
    """One of the choices, when some are named without "not" before them; else none of them."""
    nots = {choice: negation(words, place.start()) for choice, place in named.items()}
    said = " ".join(f"{nots[choice]} {choice}" for choice in named)
    wanted = [choice for choice in named if not nots[choice]]
    if wanted:
        formula = _equals(field, wanted[0]) if len(wanted) == 1 else ""
        return Condition(field.name, f"{field.name} is {' or '.join(wanted)}", _any_of(set(wanted)), formula, said)
    label = f"{field.name} is not {' or '.join(named)}"
    formula = _unequal(field, list(named)) if field.type == "singleSelect" else ""
    return Condition(field.name, label, _none_of(set(named)), formula, said)


def _is_heading(named: Sequence[str], field: FieldInfo) -> bool:
    return any(same(choice, field.name) for choice in named)


def _open(text: str, fields: Sequence[FieldInfo], today: date) -> list[Condition]:
    """ "open" where no choice is called so: all but the choices that mean an end."""
    word = _OPEN.search(text)
    if not word:
        return []
    said = word.group()
    ending = {"paid"} if said in ("unpaid", "outstanding") else _CLOSED
    found = []
    for field in fields:
        ends = [choice for choice in field.choices if choice.casefold() in _CLOSED]
        ends = ends if any(choice.casefold() in ending for choice in ends) else []
        if field.type == "singleSelect" and ends:
            label = f"{field.name} is not {' or '.join(ends)}"
            found.append(Condition(field.name, label, _none_of(set(ends)), _unequal(field, ends), said))
        elif field.type == "checkbox" and field.name.casefold() in ending:
            found.append(Condition(field.name, f"{field.name} is unchecked", lambda held: not held, said=said))
    due = next((f for f in fields if f.type in DATE_TYPES and "due" in stems(f.name)), None)
    if "overdue" in text and due is not None:
        limit = today.isoformat()
        found = found[:1]
        found.append(
            Condition(
                due.name,
                f"{due.name} is before {limit}",
                lambda held: _day(held) < limit if held else False,
                said="overdue",
            )
        )
        return found
    return found[:1]


def _none_of(ends: set[str]) -> Callable[[Any], bool]:
    return lambda value: not any(text in ends for text in strings_in(value))


def _dates(text: str, fields: Sequence[FieldInfo], today: date) -> list[Condition]:
    """Limits and spans of time, each on the date field named before it, else on the first one."""
    dates = [field for field in fields if field.type in DATE_TYPES]
    return [_dated(text, period, dates) for period in periods_in(text, today)] if dates else []


def _dated(text: str, period: Period, dates: Sequence[FieldInfo]) -> Condition:
    found, told, test = period
    field = find_field(text[: found.start()], dates) or dates[0]
    condition = Condition(
        field.name, f"{field.name} {told}", lambda held: bool(held) and test(_day(held)), said=found.group()
    )
    return condition.unless(negation(text, found.start()))


def _day(value: Any) -> str:
    return str(value)[:10]


def _plain_name(field: FieldInfo) -> bool:
    return not {"{", "}", "\\"} & set(field.name)


def _literal(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _equals(field: FieldInfo, value: str) -> str:
    plain = field.type in ("singleSelect", "singleLineText", "multilineText", "email", "phoneNumber", "url")
    return f"{{{field.name}}}={_literal(value)}" if plain and _plain_name(field) else ""


def _unequal(field: FieldInfo, values: Sequence[str]) -> str:
    if not _plain_name(field):
        return ""
    parts = [f"{{{field.name}}}!={_literal(value)}" for value in values]
    return parts[0] if len(parts) == 1 else f"AND({', '.join(parts)})"
