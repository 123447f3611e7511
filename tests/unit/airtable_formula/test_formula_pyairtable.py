"""Everything that pyairtable's formula builder can write is understood."""

import datetime
import inspect
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyairtable import formulas

from pyairtable_devkit.airtable.formula import FormulaErrorValue, parse
from pyairtable_devkit.airtable.formula.functions import FUNCTIONS

NAMES = sorted(name for name, item in vars(formulas).items() if name.isupper() and inspect.isfunction(item))
BUILT = [name for name in NAMES if name not in ("AND", "OR", "NOT")]
ARRAYS = {"ARRAYCOMPACT", "ARRAYFLATTEN", "ARRAYJOIN", "ARRAYSLICE", "ARRAYUNIQUE"}
DOCUMENT = Path(__file__).parents[3] / "docs" / "emulator-formulas.md"


def test_every_function_is_there() -> None:
    assert len(NAMES) == 79
    assert set(FUNCTIONS) == {*NAMES, *ARRAYS}


@pytest.mark.parametrize("name", BUILT)
def test_every_documented_number_of_arguments_is_taken(name: str) -> None:
    parameters = inspect.signature(getattr(formulas, name)).parameters.values()
    required = [item for item in parameters if item.default is item.empty and item.kind is item.POSITIONAL_ONLY]
    optional = [item for item in parameters if item.default is None]
    field = formulas.Field("a")
    for count in range(len(required), len(required) + len(optional) + 1):
        parse(str(getattr(formulas, name)(*[field] * count)))
    if any(item.kind is item.VAR_POSITIONAL for item in parameters):
        parse(str(getattr(formulas, name)(*[field] * (len(required) + 5))))


MATCHES: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({"Name": 'O\'Neill \\ "x"'}, {"Name": 'O\'Neill \\ "x"'}, True),
    ({"Age": (">=", 21), "Name": "Ann"}, {"Age": 21, "Name": "Ann"}, True),
    ({"Age": (">=", 21), "Name": "Ann"}, {"Age": 20, "Name": "Ann"}, False),
    ({"Done": True}, {"Done": True}, True),
    ({"Done": False}, {}, True),
    ({"Price": Decimal("2.50")}, {"Price": 2.5}, True),
    ({"Due": datetime.date(2026, 11, 22)}, {"Due": datetime.date(2026, 11, 22)}, True),
    (
        {"At": datetime.datetime(2026, 11, 22, 9, tzinfo=datetime.UTC)},
        {"At": datetime.datetime(2026, 11, 22, 9, tzinfo=datetime.UTC)},
        True,
    ),
    ({"Tags {x}": "a"}, {"Tags {x}": ["a"]}, True),
]


@pytest.mark.parametrize(("wanted", "fields", "kept"), MATCHES)
def test_matching(evaluate: Callable[..., Any], wanted: dict[str, Any], fields: dict[str, Any], kept: bool) -> None:
    assert evaluate(str(formulas.match(wanted)), **fields) == int(kept)


def test_negative_numbers_and_nested_conditions(evaluate: Callable[..., Any]) -> None:
    field = formulas.Field("n")
    formula = formulas.OR(formulas.AND(field.gt(-5), field.lt(0)), ~(field.ne(10)))
    assert [evaluate(str(formula), n=number) for number in (-6, -4, 0, 10)] == [0, 1, 0, 1]


def test_today_without_arguments(evaluate: Callable[..., Any]) -> None:
    formula = formulas.IS_SAME(formulas.Field("d"), formulas.TODAY(), "day")
    value = evaluate(str(formula), d=datetime.date(2026, 11, 22))
    assert value == 1
    assert not isinstance(value, FormulaErrorValue)


def test_the_document_lists_every_function() -> None:
    text = DOCUMENT.read_text()
    assert [name for name in FUNCTIONS if f"`{name}`" not in text] == []
