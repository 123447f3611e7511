"""Figures of one field over a sample of its cells. Pure: no reading here."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import Field as Described

from .cells import is_empty, is_number, kind_of, text
from .model import Field
from .tool import Result

_TOP_VALUES = 5
_LONGEST_SHOWN = 100


class NumberStatistics(Result):
    minimum: float
    maximum: float
    sum: float
    mean: float
    median: float
    standard_deviation: float = Described(description="Of the population; 0 for one value.")


class TextStatistics(Result):
    shortest: int = Described(description="Characters.")
    longest: int
    mean_length: float


class DateStatistics(Result):
    earliest: str
    latest: str


class ItemStatistics(Result):
    fewest: int = Described(description="Items in a cell, of the filled ones.")
    most: int
    mean_count: float


class ValueCount(Result):
    value: str
    count: int


class FieldStatistics(Result):
    name: str
    type: str
    filled: int
    empty: int
    fill_rate: float = Described(description="Filled cells by all cells, 0 to 1. An unchecked checkbox is empty.")
    unique_values: int
    top_values: list[ValueCount] = Described(description="The most frequent values; for lists, the items.")
    numbers: NumberStatistics | None = None
    texts: TextStatistics | None = None
    dates: DateStatistics | None = None
    items: ItemStatistics | None = Described(default=None, description="Of links, attachments and other lists.")


def describe_field(field: Field, cells: Sequence[Any]) -> FieldStatistics:
    """The figures of a field; `cells` holds one value a record, None where it is empty."""
    values = [value for value in cells if not is_empty(value)]
    kind = kind_of(field)
    numbers = [float(value) for value in values if is_number(value) and math.isfinite(value)]
    texts = [value for value in values if isinstance(value, str)]
    is_date = kind in ("date", "date_time")
    return FieldStatistics(
        name=field.name,
        type=field.type,
        filled=len(values),
        empty=len(cells) - len(values),
        fill_rate=round(len(values) / len(cells), 4) if cells else 0.0,
        unique_values=len({_identity(value) for value in values}),
        top_values=_top(values),
        numbers=_numbers(numbers) if numbers else None,
        texts=_texts(texts) if texts and not is_date else None,
        dates=DateStatistics(earliest=min(texts), latest=max(texts)) if texts and is_date else None,
        items=_items([len(value) for value in values if isinstance(value, list)]),
    )


def _numbers(values: Sequence[float]) -> NumberStatistics:
    return NumberStatistics(
        minimum=min(values),
        maximum=max(values),
        sum=math.fsum(values),
        mean=statistics.fmean(values),
        median=statistics.median(values),
        standard_deviation=statistics.pstdev(values),
    )


def _texts(values: Sequence[str]) -> TextStatistics:
    lengths = [len(value) for value in values]
    return TextStatistics(shortest=min(lengths), longest=max(lengths), mean_length=round(statistics.fmean(lengths), 2))


def _items(counts: Sequence[int]) -> ItemStatistics | None:
    if not counts:
        return None
    return ItemStatistics(fewest=min(counts), most=max(counts), mean_count=round(statistics.fmean(counts), 2))


def _top(values: Sequence[Any]) -> list[ValueCount]:
    items = [item for value in values for item in (value if isinstance(value, list) else [value])]
    counts = Counter(text(item)[:_LONGEST_SHOWN] for item in items)
    return [ValueCount(value=value, count=count) for value, count in counts.most_common(_TOP_VALUES)]


def _identity(value: Any) -> str:
    """Equal for equal cells, lists and objects included."""
    if is_number(value):
        return repr(float(value))
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
