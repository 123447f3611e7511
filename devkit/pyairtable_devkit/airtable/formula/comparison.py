"""Equality and order between values of any kinds.

Blank equals "", 0, false and the empty list. Text and number are never equal, nor are date and text: that is why
`{Date}='2026-11-22'` finds nothing in Airtable and IS_SAME is needed. In an ordering text is read as what it meets.
"""

import datetime
import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from pyairtable_devkit.airtable.formula.dates import read_date
from pyairtable_devkit.airtable.formula.errors import Uncomputable
from pyairtable_devkit.airtable.formula.values import (
    DateView,
    FormulaErrorValue,
    Internal,
    numeric,
    single,
    to_utc,
)

Scalar: TypeAlias = str | float | datetime.datetime | None


def equal(left: Internal, right: Internal) -> bool:
    """Whether two values are the same, as `=` and SWITCH see it."""
    left, right = _comparable(left), _comparable(right)
    if left is None or right is None:
        return not left and not right and not _is_date(left) and not _is_date(right)
    same_kind = isinstance(left, str) == isinstance(right, str) and _is_date(left) == _is_date(right)
    return same_kind and left == right


def ordered(compare: Callable[[Any, Any], bool], left: Internal, right: Internal) -> bool:
    """Whether `compare` (operator.lt and its like) holds; False when the two have no order."""
    left, right = _comparable(left), _comparable(right)
    left, right = _like(left, right), _like(right, left)
    if left is None or right is None or _is_date(left) != _is_date(right):
        return False
    return bool(compare(left, right))


ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _comparable(value: Internal) -> Scalar:
    """Lists as one value, dates as moments."""
    value = single(value)
    if isinstance(value, datetime.date | DateView):
        return to_utc(value)
    if isinstance(value, FormulaErrorValue | list):  # a list cannot remain after single(); mypy does not know
        raise Uncomputable
    return value


def _like(value: Scalar, other: Scalar) -> Scalar:
    """The value as the kind of the other; None when it has no such form."""
    if value is None and not _is_date(other):
        return "" if isinstance(other, str) else 0.0
    if isinstance(value, str) and _is_date(other):
        return read_date(value)
    if isinstance(value, str) and not isinstance(other, str) and other is not None:
        return numeric(value) if value else 0.0
    return value


def _is_date(value: object) -> bool:
    return isinstance(value, datetime.datetime)
