"""What a formula computes with, and how one kind of value becomes another.

Numbers are floats inside (Airtable computes like JavaScript); `plain` turns whole ones back into integers.
Blank is None. A part without a value raises Uncomputable, which ends as `#ERROR!`.
"""

import datetime
import math
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol, TypeAlias

from pyairtable_devkit.airtable.formula.errors import Uncomputable


@dataclass(frozen=True, slots=True)
class FormulaErrorValue:
    """The result of a formula that could not be computed."""

    text: str = "#ERROR!"

    def __str__(self) -> str:
        return self.text


ERROR: Final = FormulaErrorValue()

Value: TypeAlias = (
    "str | int | float | bool | datetime.datetime | datetime.date | list[Value] | FormulaErrorValue | None"
)


class Row(Protocol):
    """What a formula can ask of a record."""

    @property
    def record_id(self) -> str: ...
    @property
    def created_time(self) -> datetime.datetime: ...
    @property
    def last_modified_time(self) -> datetime.datetime: ...

    def value(self, key: Hashable) -> Value:
        """The field's value as formulas see it: links as a list of primary texts, selects as text."""
        ...

    def modified_time(self, keys: Sequence[Hashable]) -> datetime.datetime | None:
        """When one of the fields was last changed by a user; None when never."""
        ...


@dataclass(frozen=True, slots=True)
class DateView:
    """A moment with the zone and locale it is to be shown in (SET_TIMEZONE, SET_LOCALE)."""

    moment: datetime.datetime
    locale: str = "en"


Internal: TypeAlias = "Value | DateView"

MAX_TEXT = 100_000
"""Characters of a text; the limit of a long text cell (Airtable support: field type overview)."""
MAX_EXACT_INTEGER = 2**53
MAX_NUMBER = 400
"""Characters of a text that is read as a number; floats end at 309 digits."""

_NUMERIC = re.compile(r"\s*-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\s*")


def plain(value: Internal) -> Value:
    """An internal value as callers see it: whole numbers as int, dates in UTC."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= MAX_EXACT_INTEGER else value
    if isinstance(value, DateView):
        return value.moment.astimezone(datetime.UTC)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def is_truthy(value: Internal) -> bool:
    """Whether a row with this result is kept by a filter: not for 0, False, "", NaN, an empty list, blank, an error."""
    if isinstance(value, FormulaErrorValue):
        return False
    if isinstance(value, float):
        return value != 0 and not math.isnan(value)
    return bool(value)


def to_text(value: Internal) -> str:
    """The value in a text context: 5 and not 5.0, ISO dates, lists joined with a comma and a space."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float):
        return number_text(_float(value))
    if isinstance(value, list):
        return _list_text(value)
    if isinstance(value, FormulaErrorValue):
        raise Uncomputable
    return iso_text(to_utc(value))


def _list_text(items: "list[Value]") -> str:
    text = ", ".join(to_text(item) for item in items if item is not None)
    check_size(len(text))
    return text


def number_text(number: float) -> str:
    """A number as JavaScript writes it: 5, 0.1, 1e+21, Infinity, NaN."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number.is_integer() and abs(number) < 1e21:
        return str(int(number))
    text = repr(number)
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    if -7 < int(exponent) < 0:
        return format(Decimal(text), "f")
    return f"{mantissa}e{int(exponent):+d}"


def to_number(value: Internal) -> float:
    """The value in a number context: blank is 0, text must be a number, a list must have one element."""
    if isinstance(value, int | float):  # bool is an int: 1 and 0
        return _float(value)
    if value is None or value == "":
        return 0.0
    if isinstance(value, str) and (number := numeric(value)) is not None:
        return number
    if isinstance(value, list):
        return to_number(single(value))
    raise Uncomputable


def numeric(text: str) -> float | None:
    """The number a text stands for, None when it is not one."""
    return float(text) if len(text) <= MAX_NUMBER and _NUMERIC.fullmatch(text) else None


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond 1e308
        return math.inf if value > 0 else -math.inf


def single(value: Internal) -> Internal:
    """A list as one value: blank when empty, its only element, or else its joined text."""
    while isinstance(value, list):
        if len(value) > 1:
            return to_text(value)
        value = value[0] if value else None
    return value


def flatten(values: Iterable[Internal]) -> Iterator[Internal]:
    """The elements of the values, lists in lists opened; an error among them is one of the whole."""
    for value in values:
        if isinstance(value, list):
            yield from flatten(value)
        elif isinstance(value, FormulaErrorValue):
            raise Uncomputable
        else:
            yield value


def check_size(length: float) -> None:
    """Refuses a text longer than a cell can hold, before it is built."""
    if length > MAX_TEXT:
        raise Uncomputable


def to_utc(value: datetime.date | DateView) -> datetime.datetime:
    """A date is its midnight in UTC, as in Airtable."""
    if isinstance(value, DateView):
        return value.moment.astimezone(datetime.UTC)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC)
    return datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)


def iso_text(moment: datetime.datetime) -> str:
    """As Airtable writes moments: 2026-11-22T09:30:00.000Z."""
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
