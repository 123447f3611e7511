"""From words to cell values: what a user writes, in the form the field's type takes."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

from pyairtable_devkit.gemini.planner.outcome import AskUser
from pyairtable_devkit.gemini.planner.schema import DATE_TYPES, NUMBER_TYPES, SELECT_TYPES, FieldInfo
from pyairtable_devkit.gemini.planner.words import same

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_YES = {"true", "yes", "checked", "done", "on", "1"}
_NO = {"false", "no", "unchecked", "off", "0"}


def cell_value(text: str, field: FieldInfo, today: date) -> Any:
    """The value for a field, not for links (those need records); AskUser when the text cannot be one."""
    text = text.strip().strip("'\"“”‘’").rstrip(".?!")
    if field.type in SELECT_TYPES:
        chosen = _choice(text, field)
        return [chosen] if field.type == "multipleSelects" else chosen
    if field.type == "checkbox":
        return _checkbox(text, field)
    if field.type == "duration":
        return _duration(text, field)
    if field.type in NUMBER_TYPES:
        return _number(text, field)
    if field.type in DATE_TYPES:
        return _date(text, field, today)
    return text


def _choice(text: str, field: FieldInfo) -> str:
    if not field.choices:
        return text
    for choice in field.choices:
        if same(choice, text):
            return choice
    raise AskUser(f"{field.name} has no choice {text!r}. Which one should it be: {', '.join(field.choices)}?")


def _checkbox(text: str, field: FieldInfo) -> bool:
    if text.casefold() in _YES or same(text, field.name):
        return True
    if text.casefold() in _NO:
        return False
    raise AskUser(f"{field.name} is a checkbox. Should it be checked or unchecked?")


def _number(text: str, field: FieldInfo) -> float | int:
    found = _NUMBER.search(text)
    if found is None:
        raise AskUser(f"{field.name} is a number and {text!r} is none. Which number should it be?")
    value = float(found.group().replace(",", ""))
    if field.type == "percent" and "%" in text:
        value /= 100
    return int(value) if value.is_integer() else value


def _duration(text: str, field: FieldInfo) -> int:
    """Seconds (Airtable docs: duration) from "1:30", "90 minutes" or hours."""
    clock = re.search(r"(\d+):(\d{2})", text)
    if clock:
        return int(clock[1]) * 3600 + int(clock[2]) * 60
    return round(_number(text, field) * (60 if re.search(r"\bmin", text) else 3600))


def _date(text: str, field: FieldInfo, today: date) -> str:
    days = {"today": 0, "tomorrow": 1, "yesterday": -1}
    if text.casefold() in days:
        return (today + timedelta(days=days[text.casefold()])).isoformat()
    found = re.search(r"\d{4}-\d{2}-\d{2}(T[\d:.Z]+)?", text)
    if found is None:
        raise AskUser(f"Which date should {field.name} be, as YYYY-MM-DD?")
    return found.group()
