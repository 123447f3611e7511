"""How values of different kinds meet: blanks, text, numbers, lists, dates."""

import datetime
import math
from collections.abc import Callable
from typing import Any

import pytest

from pyairtable_devkit.airtable.formula import ERROR, Value, is_truthy

UTC = datetime.UTC
DAY = datetime.date(2026, 11, 22)
MOMENT = datetime.datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (0, False),
        (0.0, False),
        (False, False),
        ("", False),
        (math.nan, False),
        ([], False),
        (None, False),
        (ERROR, False),
        (1, True),
        (-1, True),
        (math.inf, True),
        (True, True),
        ("0", True),
        (" ", True),
        ([""], True),
        ([0], True),
        (DAY, True),
        (MOMENT, True),
    ],
)
def test_filter_keeps(value: Value, kept: bool) -> None:
    # Airtable docs, list records: kept unless 0, false, "", NaN, [] or #Error!
    assert is_truthy(value) is kept


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (5, "5"),
        (5.0, "5"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1 / 3, "0.3333333333333333"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (1e-6, "0.000001"),
        (1.5e-7, "1.5e-7"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (math.nan, "NaN"),
        (10**400, "Infinity"),
        (True, "1"),
        (False, "0"),
    ],
)
def test_numbers_in_text(evaluate: Callable[..., Any], number: Value, text: str) -> None:
    assert evaluate("{x}&''", x=number) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (["a", "b"], "a, b"),
        (["a", None, 5], "a, 5"),
        ([0, False, ""], "0, 0, "),
        ([], ""),
        (["only"], "only"),
        (DAY, "2026-11-22T00:00:00.000Z"),
        (MOMENT, "2026-11-22T09:30:00.000Z"),
        (ERROR, ERROR),
        (["a", ERROR], ERROR),
    ],
)
def test_values_in_text(evaluate: Callable[..., Any], value: Value, text: Value) -> None:
    assert evaluate("{x}&''", x=value) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{nothing}=''", 1),
        ("{nothing}=0", 1),
        ("{nothing}=BLANK()", 1),
        ("BLANK()=''", 1),
        ("0=BLANK()", 1),
        ("BLANK()='0'", 0),
        ("{nothing}=TODAY()", 0),
        ("{nothing}!='x'", 1),
        ("{empty}=BLANK()", 1),
        ("''=0", 0),
        ("'5'=5", 0),
        ("5='5'", 0),
        ("'a'='A'", 0),
        ("{one}='a'", 1),
        ("{two}='a, b'", 1),
        ("{two}='a'", 0),
        ("{numbers}=5", 1),
        ("{yes}=1", 1),
        ("{yes}=TRUE()", 1),
        ("{nothing}=FALSE()", 1),
        ("{day}='2026-11-22'", 0),
        ("{day}=DATETIME_PARSE('2026-11-22')", 1),
        ("{day}=TODAY()", 1),
        ("{moment}={day}", 0),
        ("{nan}={nan}", 0),
    ],
)
def test_equality(evaluate: Callable[..., Any], text: str, expected: int) -> None:
    values: dict[str, Value] = {
        "empty": [],
        "one": ["a"],
        "two": ["a", "b"],
        "numbers": [5],
        "yes": True,
        "day": DAY,
        "moment": MOMENT,
        "nan": math.nan,
    }
    assert evaluate(text, **values) == expected
    if "!=" not in text:
        assert evaluate(text.replace("=", "!=", 1), **values) == 1 - expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'a'<'b'", 1),
        ("'B'<'a'", 1),
        ("'10'<9", 0),
        ("9<'10'", 1),
        ("'x'<9", 0),
        ("'x'>9", 0),
        ("BLANK()<1", 1),
        ("BLANK()>=0", 1),
        ("BLANK()<'a'", 1),
        ("BLANK()<=BLANK()", 1),
        ("0/0<1", 0),
        ("0/0>=1", 0),
        ("{day}>='2026-11-22'", 1),
        ("{day}>'2026-11-22'", 0),
        ("{day}<'11/23/2026'", 1),
        ("{moment}>{day}", 1),
        ("{day}<'no date'", 0),
        ("{day}>'no date'", 0),
        ("{nothing}<TODAY()", 0),
        ("{nothing}>TODAY()", 0),
        ("{day}>5", 0),
        ("{five}>4", 1),
        ("{five}<5", 0),
    ],
)
def test_order(evaluate: Callable[..., Any], text: str, expected: int) -> None:
    assert evaluate(text, day=DAY, moment=MOMENT, five=[5]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1/0", math.inf),
        ("-1/0", -math.inf),
        ("1/{nothing}", math.inf),
        ("{nothing}+5", 5),
        ("{nothing}*5", 0),
        ("'5'+1", 6),
        ("' 5.5 '*2", 11),
        ("'five'+1", ERROR),
        ("'1_0'+1", ERROR),
        ("'nan'+1", ERROR),
        ("{yes}+1", 2),
        ("{one}*2", 10),
        ("{two}*2", ERROR),
        ("{two}-1", ERROR),
        ("TODAY()+1", ERROR),
        ("DATETIME_PARSE('2026-11-23')-{day}", 86400),
        ("-{two}", ERROR),
        ("0.1+0.2", 0.1 + 0.2),
        ("ERROR()+1", ERROR),
        ("{broken}&'x'", ERROR),
    ],
)
def test_arithmetic(evaluate: Callable[..., Any], text: str, expected: Value) -> None:
    assert evaluate(text, yes=True, one=[5], two=[5, 6], day=DAY, broken=ERROR) == expected


def test_nothing_by_nothing_is_not_a_number(evaluate: Callable[..., Any]) -> None:
    assert math.isnan(evaluate("0/0"))
    assert math.isnan(evaluate("{a}/{b}"))


@pytest.mark.parametrize(
    ("text", "kind"), [("4/2", int), ("1/2", float), ("2*0.5", int), ("10*10", int), ("{x}", int), ("1=1", int)]
)
def test_whole_numbers_come_back_as_integers(evaluate: Callable[..., Any], text: str, kind: type) -> None:
    assert type(evaluate(text, x=3.0)) is kind


def test_a_field_passes_through_unchanged(evaluate: Callable[..., Any]) -> None:
    for value in ["text", 5, 2.5, True, None, DAY, MOMENT, ["a", 1]]:
        assert evaluate("{x}", x=value) == value
    assert evaluate("{x}", x=ERROR) == ERROR
