"""No formula crashes the process or holds it up: length, depth and work are limited."""

from collections.abc import Callable
from typing import Any

import pytest

from pyairtable_devkit.airtable.formula import ERROR, FormulaError, parse
from pyairtable_devkit.airtable.formula.parser import MAX_DEPTH, MAX_LENGTH


def test_too_long() -> None:
    with pytest.raises(FormulaError) as caught:
        parse("1" * (MAX_LENGTH + 1))
    assert caught.value.reason == "longer than 65536 characters"


@pytest.mark.parametrize("opening", ["(", "-", "IF(1,", "1=1&1+1*(", "NOT(", "IF(1,2,"])
def test_too_deep(opening: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(opening * 6_000)
    assert caught.value.reason == "nested deeper than 150 levels"


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("(", ")"),
        ("-", ""),
        ("IF(1,", ")"),
        ("1=1&1+1*(", ")"),
        ("ISERROR(", ")"),
        ("SUM(1,", ")"),
        ("SWITCH(1,2,3,", ")"),
    ],
)
def test_the_deepest_that_is_allowed_evaluates(evaluate: Callable[..., Any], opening: str, closing: str) -> None:
    """Also below a stack that is already in use, as in a server."""

    def below(frames: int) -> None:
        if frames:
            return below(frames - 1)
        for depth in range(MAX_DEPTH, 0, -1):
            try:
                expression = parse(opening * depth + "1" + closing * depth)
            except FormulaError:
                continue
            assert depth > 25
            evaluate(expression.text)
            return None
        raise AssertionError("no depth is allowed")

    below(100)


def test_long_chains_are_flat(evaluate: Callable[..., Any]) -> None:
    assert evaluate("1" + "+1" * 30_000) == 30_001
    assert evaluate("'a'" + "&'b'" * 15_000) == "a" + "b" * 15_000
    assert evaluate("1" + "=1" * 30_000) == 1
    assert evaluate("AND(" + ",".join(["1"] * 30_000) + ")") == 1


@pytest.mark.parametrize(
    "text",
    [
        "REPT('a', 100001)",
        "REPT('ab', 1/0)",
        "REPT(REPT(REPT('aaaaaaaaaa', 1000), 1000), 1000)",
        "SUBSTITUTE(REPT('a', 100000), 'a', REPT('b', 100000))",
        "REPT('a', 60000) & REPT('a', 60000)",
        "CONCATENATE(REPT('a', 60000), REPT('a', 60000))",
        "REPLACE(REPT('a', 60000), 1, 1, REPT('a', 60000))",
        "ENCODE_URL_COMPONENT(REPT('é', 50000))",
        "REGEX_REPLACE(REPT('a', 60000), 'a', 'bb')",
        "ARRAYJOIN({list}, REPT('-', 90000))",
        "UPPER(REPT('ß', 60000))",
        "DATETIME_FORMAT(TODAY(), REPT('LLLL', 5000))",
        "&".join(["LEN(UPPER(REPT('é', 100000)))"] * 1_000),
        "&".join(["REGEX_MATCH(REPT('a', 3000), 'a*a*b')"] * 1_000),
        "&".join(f"REGEX_MATCH('a', '{'(a?){1,40}' * 20}{number}')" for number in range(200)),
        "REGEX_MATCH(REPT('a', 50), '(((a{1000}){1000}){1000})(b*)*')",
        "SUM(" + ",".join(["{list}"] * 8_000) + ")",
    ],
    ids=lambda text: text[:40],
)
def test_too_much_work_has_no_value(evaluate: Callable[..., Any], text: str) -> None:
    assert evaluate(text, list=[1] * 1_000) == ERROR


def test_texts_up_to_the_limit_are_fine(evaluate: Callable[..., Any]) -> None:
    assert len(evaluate("REPT('a', 100000)")) == 100_000
    assert evaluate("LEN(SUBSTITUTE(REPT('ab', 50000), 'b', 'c'))") == 100_000
