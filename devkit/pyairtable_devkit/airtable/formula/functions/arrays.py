"""Lists: the results of lookups, links and multiple selects, and `values` in a rollup."""

from pyairtable_devkit.airtable.formula.registry import function
from pyairtable_devkit.airtable.formula.values import (
    Internal,
    Value,
    check_size,
    flatten,
    plain,
    to_text,
)


def _items(value: Internal) -> list[Value]:
    """A single value is a list of one, a blank an empty list."""
    if isinstance(value, list):
        return value
    return [] if value is None else [plain(value)]


@function("ARRAYJOIN", "any", "text?", result="text")
def arrayjoin(values: Internal, separator: str = ", ") -> Internal:
    parts = [to_text(item) for item in flatten(_items(values))]
    # Checked before joining: a long separator between many items must not be built first.
    check_size(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


@function("ARRAYCOMPACT", "any", result="list")
def arraycompact(values: Internal) -> Internal:
    """Drops blanks and empty text, keeps false and text of spaces (Airtable support: array functions)."""
    return [plain(item) for item in flatten(_items(values)) if item is not None and item != ""]


@function("ARRAYFLATTEN", "any", "any*", result="list")
def arrayflatten(*values: Internal) -> Internal:
    """One list without nesting or empty text ([[1, 2, "", 3], [false]] is [1, 2, 3, false], Airtable support)."""
    items = [item for value in values for item in _items(value)]
    return [plain(item) for item in flatten(items) if item != ""]


@function("ARRAYUNIQUE", "any", result="list")
def arrayunique(values: Internal) -> Internal:
    # Kind and value: 1 and true are different items though equal in Python.
    seen = {(type(item), item): item for item in flatten(_items(values)) if not isinstance(item, list)}
    return [plain(item) for item in seen.values()]


@function("ARRAYSLICE", "any", "number", "number?", result="list")
def arrayslice(values: Internal, start: float, end: float | None = None) -> Internal:
    """Items from `start` to `end`, both counted from 1 and included; negative ones count from the end."""
    items = _items(values)
    first = _position(start, len(items))
    last = len(items) if end is None else _position(end, len(items)) + 1
    return items[max(first, 0) : max(last, 0)]


def _position(number: float, length: int) -> int:
    if number != number:
        return 0
    bounded = int(max(-length - 1, min(number, length + 1)))
    return bounded + length if bounded < 0 else bounded - 1


@function("COUNT", "any", "any*", result="number")
def count(*values: Internal) -> Internal:
    return sum(isinstance(value, int | float) for value in flatten(values))


@function("COUNTA", "any", "any*", result="number")
def counta(*values: Internal) -> Internal:
    return sum(value is not None and value != "" for value in flatten(values))


@function("COUNTALL", "any", "any*", result="number")
def countall(*values: Internal) -> Internal:
    return sum(1 for _ in flatten(values))
