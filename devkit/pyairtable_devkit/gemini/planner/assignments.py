"""Values for fields in a request: "... for project 'Villa Rosa' with status Open and 5 hours due 2026-12-01"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from pyairtable_devkit.gemini.planner.leftover import unused
from pyairtable_devkit.gemini.planner.links import link_value, linked_table
from pyairtable_devkit.gemini.planner.outcome import AskUser
from pyairtable_devkit.gemini.planner.schema import LINK_TYPES, FieldInfo, Table
from pyairtable_devkit.gemini.planner.values import cell_value
from pyairtable_devkit.gemini.planner.words import same, stems
from pyairtable_devkit.gemini.planner.world import World

_MASK = re.compile(r"⟦(\d+)⟧")
_VALUE_END = r"(?=\s+(?:and|with|for|on|due)\b|\s*[,;]|[.!?]*$)"
_QUOTED_FIELD = re.compile(
    rf"(?P<field>⟦\d+⟧)\s*(?:set\s+to|to|=|:|is|as)\s*(?P<value>⟦\d+⟧|[^,;⟦]+?){_VALUE_END}", re.IGNORECASE
)
_AMOUNT = re.compile(r"\b(?:of|worth|over|for)\s+[€$£]?\s*(?P<value>\d[\d,]*(?:\.\d+)?)\b(?!-)")
_OPTIONAL_LAST = {"date", "name"}


class Masked:
    """A text whose quoted parts are replaced by marks, so that their words are not taken for the request's."""

    def __init__(self, text: str, quoted_pattern: re.Pattern[str]) -> None:
        self.quotes: list[str] = []
        self.text = quoted_pattern.sub(self._keep, text)

    def _keep(self, found: re.Match[str]) -> str:
        self.quotes.append(next(group for group in found.groups() if group))
        return f"⟦{len(self.quotes) - 1}⟧"

    def restore(self, text: str) -> str:
        """The text with its quoted parts back, without quotes."""
        return _MASK.sub(lambda found: self.quotes[int(found.group(1))], text).strip()

    def quotes_in(self, text: str) -> list[str]:
        """The quoted parts of a stretch of the masked text."""
        return [self.quotes[int(number)] for number in _MASK.findall(text)]

    def without_quotes(self, text: str) -> str:
        """The stretch without its quoted parts."""
        return _MASK.sub(" ", text)


def assignments(
    text: str, masked: Masked, fields: Sequence[FieldInfo], tables: Sequence[Table]
) -> list[tuple[FieldInfo, str]]:
    """The fields a stretch of masked text gives values to, with those values as written.

    AskUser when some of the text is no such pair: a write of the rest would lose it silently.
    """
    found, text = _quoted_fields(text, masked, fields)
    for field in sorted(fields, key=lambda item: -len(item.name)):
        for pattern in _patterns(field, tables):
            match = pattern.search(text)
            if match and match["value"].strip():
                found.append((field, masked.restore(match["value"])))
                text = text[: match.start()] + " , " + text[match.end() :]
                break
    amount = _AMOUNT.search(text)
    currency = next((field for field in fields if field.type == "currency"), None)
    if amount and currency is not None and currency not in [field for field, _ in found]:
        found.append((currency, amount["value"]))
        text = text[: amount.start()] + " , " + text[amount.end() :]
    refuse_leftover(masked.restore(text), [], f"Its fields are: {', '.join(field.name for field in fields)}.")
    return found


def refuse_leftover(text: str, used: Sequence[str], hint: str) -> None:
    """AskUser when words of a request to write would be lost, `used` apart."""
    left = unused(text, [*used, "set euro dollar"])
    if left:
        raise AskUser(f"I do not know what to do with '{', '.join(left)}', so I changed nothing. What is meant? {hint}")


def _quoted_fields(text: str, masked: Masked, fields: Sequence[FieldInfo]) -> tuple[list[tuple[FieldInfo, str]], str]:
    """Assignments whose field stands in quotes ("'Status' set to 'Done'"), and the text without them."""
    found: list[tuple[FieldInfo, str]] = []
    for match in _QUOTED_FIELD.finditer(text):
        field = next((field for field in fields if same(field.name, masked.restore(match["field"]))), None)
        if field is not None:
            found.append((field, masked.restore(match["value"])))
            text = text.replace(match.group(), " , ")
    return found, text


def cell_values(assigned: Sequence[tuple[FieldInfo, str]], tables: Sequence[Table], world: World) -> dict[str, Any]:
    """The cells for assigned texts; linked records are looked up side by side."""
    for field, _ in assigned:
        if field.is_computed:
            raise AskUser(f"{field.name} is computed by Airtable and cannot be set. What else should I set?")
    values = world.gather([partial(_value, field, text, tables, world) for field, text in assigned])
    return {field.name: value for (field, _), value in zip(assigned, values, strict=True)}


def _value(field: FieldInfo, text: str, tables: Sequence[Table], world: World) -> Any:
    if field.type in LINK_TYPES:
        return link_value(text.strip().rstrip(".?!"), field, tables, world)
    return cell_value(text, field, world.today)


def _patterns(field: FieldInfo, tables: Sequence[Table]) -> list[re.Pattern[str]]:
    names = [stems(field.name)]
    linked = linked_table(field, tables) if field.type in LINK_TYPES else None
    if linked is not None:
        names.append(stems(linked.name))
    return [_pattern(words) for words in names if words]


def _pattern(words: list[str]) -> re.Pattern[str]:
    parts = [rf"{re.escape(word)}\w*" for word in words]
    if len(parts) > 1 and words[-1] in _OPTIONAL_LAST:
        name = r"\s+".join(parts[:-1]) + rf"(?:\s+{parts[-1]})?"
    else:
        name = r"\s+".join(parts)
    link = r"\s*(?:=|:|\bset\s+to\b|\bis\b|\bof\b|\bto\b|\bas\b|\bon\b|\bby\b)?\s*"
    return re.compile(rf"\b(?:the\s+)?{name}{link}(?P<value>⟦\d+⟧|[^,;⟦]+?){_VALUE_END}", re.IGNORECASE)
