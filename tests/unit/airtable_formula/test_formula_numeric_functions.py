"""Numeric functions as Airtable's formula field reference (and pyairtable, from it) describes them."""

import datetime
import math
from collections.abc import Callable
from typing import Any

import pytest

from pyairtable_devkit.airtable.formula import ERROR, Value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ABS(-5)", 5),
        ("ABS(BLANK())", 0),
        ("ABS('x')", ERROR),
        ("SUM(100, 200, 300)", 600),
        ("SUM({list}, 1)", 11),
        ("SUM({nested})", 6),
        ("SUM('5', BLANK(), 1)", 1),
        ("SUM(BLANK())", 0),
        ("SUM(TRUE(), 1)", 2),
        ("SUM({broken})", ERROR),
        ("AVERAGE({list})", 10 / 3),
        ("AVERAGE(1, BLANK(), 3)", 2),
        ("MAX(100, 200, 300)", 300),
        ("MAX({list}, 99)", 99),
        ("MAX(BLANK())", 0),
        ("MIN(100, 200)", 100),
        ("MIN({list})", 2),
        ("MIN(BLANK(), 5)", 5),
        ("COUNT(1, 2, 'three', BLANK())", 2),
        ("COUNTA(1, 2, 'three', BLANK(), '')", 3),
        ("COUNTALL(1, 2, 'three', BLANK(), '')", 5),
        ("COUNT({list})", 3),
        ("COUNTALL({empty})", 0),
        ("ROUND(3.5, 0)", 4),
        ("ROUND(3.4)", 3),
        ("ROUND(2.5, 0)", 3),
        ("ROUND(-2.5, 0)", -2),
        ("ROUND(1.005, 2)", 1.01),
        ("ROUND(2.675, 2)", 2.68),
        ("ROUND(1250, -2)", 1300),
        ("ROUND(1/0, 2)", math.inf),
        ("ROUND(5, 1/0)", 5),
        ("ROUNDUP(1.1, 0)", 2),
        ("ROUNDUP(-1.1, 0)", -2),
        ("ROUNDUP(1.21, 1)", 1.3),
        ("ROUNDUP(1.2, 1)", 1.2),
        ("ROUNDDOWN(1.9, 0)", 1),
        ("ROUNDDOWN(-1.9, 0)", -1),
        ("ROUNDDOWN(1.29, 1)", 1.2),
        ("CEILING(2.2)", 3),
        ("CEILING(-2.2)", -2),
        ("CEILING(1.01, 0.1)", 1.1),
        ("CEILING(0.3, 0.1)", 0.3),
        ("CEILING(7, 5)", 10),
        ("CEILING(7, 0)", 0),
        ("CEILING(1, 1/3)", 1.0),
        ("FLOOR(0.3, 0.1)", 0.3),
        ("CEILING(1/0)", math.inf),
        ("FLOOR(2.8)", 2),
        ("FLOOR(-2.2)", -3),
        ("FLOOR(7, 5)", 5),
        ("INT(1.99)", 1),
        ("INT(-1.5)", -2),
        ("EVEN(0.1)", 2),
        ("EVEN(3)", 4),
        ("EVEN(2)", 2),
        ("EVEN(-1.5)", 0),
        ("ODD(1.1)", 3),
        ("ODD(-1.1)", -3),
        ("ODD(0)", 1),
        ("ODD(3)", 3),
        ("MOD(7, 3)", 1),
        ("MOD(-7, 3)", -1),
        ("MOD(7.5, 2)", 1.5),
        ("POWER(2, 10)", 1024),
        ("POWER(7, 0)", 1),
        ("POWER(9, 0.5)", 3),
        ("POWER(10, 999)", math.inf),
        ("POWER(-10, 999)", -math.inf),
        ("POWER(0, -1)", math.inf),
        ("SQRT(16)", 4),
        ("EXP(0)", 1),
        ("EXP(1)", math.e),
        ("EXP(99999)", math.inf),
        ("LOG(100)", 2),
        ("LOG(1024, 2)", 10),
        ("LOG(0)", -math.inf),
    ],
)
def test_numeric_functions(evaluate: Callable[..., Any], text: str, expected: Value) -> None:
    fields: dict[str, Value] = {"list": [3, 5, 2], "nested": [[1, 2], [3]], "broken": [1, ERROR], "empty": []}
    assert evaluate(text, **fields) == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize(
    "text",
    [
        "MOD(1,0)",
        "MOD(1/0,2)",
        "SQRT(-1)",
        "LOG(-1)",
        "POWER(-8,0.5)",
        "AVERAGE(BLANK())",
        "MAX(0/0,1)",
        "ROUND(0/0,1)",
    ],
)
def test_not_a_number(evaluate: Callable[..., Any], text: str) -> None:
    assert math.isnan(evaluate(text))


def test_latest_and_earliest_of_dates(evaluate: Callable[..., Any]) -> None:
    dates: list[Value] = [datetime.date(2026, 1, 1), datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC), None]
    assert evaluate("MAX(values)", values=dates) == datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
    assert evaluate("MIN(values)", values=dates) == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
