"""Conditions, choices, errors, arrays and what a formula knows of its record.

Examples marked [D] stand in Airtable's page on array functions.
"""

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from pyairtable_devkit.airtable.formula import ERROR, Value, compile_formula, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IF(1, 'a', 'b')", "a"),
        ("IF(0, 'a', 'b')", "b"),
        ("IF('', 'a', 'b')", "b"),
        ("IF('0', 'a', 'b')", "a"),
        ("IF(BLANK(), 'a')", None),
        ("IF(0/0, 'a', 'b')", "b"),
        ("IF(1, 'a', ERROR())", "a"),
        ("IF(0, ERROR(), 'b')", "b"),
        ("IF(ERROR(), 'a', 'b')", ERROR),
        ("IF({broken}, 'a', 'b')", ERROR),
        ("NOT({broken})", ERROR),
        ("SWITCH(2, 1, 'one', 2, 'two')", "two"),
        ("SWITCH(3, 1, 'one', 2, 'two')", None),
        ("SWITCH(3, 1, 'one', 2, 'two', 'many')", "many"),
        ("SWITCH(3, 1, 'one', 'many')", "many"),
        ("SWITCH('2', 2, 'number', '2', 'text')", "text"),
        ("SWITCH(BLANK(), '', 'blank')", "blank"),
        ("SWITCH(1, 1, 'one', ERROR(), 'never')", "one"),
        ("AND(1, 'x')", 1),
        ("AND(1, 0)", 0),
        ("AND(1, BLANK())", 0),
        ("AND(1, ERROR())", ERROR),
        ("AND({list})", 0),
        ("OR(0, '', 'x')", 1),
        ("OR(0, '')", 0),
        ("OR(1, ERROR())", ERROR),
        ("OR({list})", 1),
        ("XOR(1, 1, 1)", 1),
        ("XOR(1, 1)", 0),
        ("NOT(0)", 1),
        ("NOT('x')", 0),
        ("TRUE()", 1),
        ("FALSE()", 0),
        ("BLANK()", None),
        ("ERROR()", ERROR),
        ("ISERROR(ERROR())", 1),
        ("ISERROR('x'+1)", 1),
        ("ISERROR(1/0)", 0),
        ("ISERROR({broken})", 1),
        ("ISERROR(1)", 0),
        ("IF(ISERROR({broken}), 'caught', 'fine')", "caught"),
    ],
)
def test_logic(evaluate: Callable[..., Any], text: str, expected: Value) -> None:
    assert evaluate(text, list=[1, 0], broken=ERROR) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ARRAYJOIN(values, '; ')", "1; 2; 3"),  # [D]
        ("ARRAYJOIN(values)", "1, 2, 3"),
        ("ARRAYJOIN('x', '-')", "x"),
        ("ARRAYJOIN(BLANK(), '-')", ""),
        ("ARRAYJOIN({nested}, '-')", "1-2--3-0"),
        ("ARRAYUNIQUE({double})", [1, 2, 3]),  # [D]
        ("ARRAYUNIQUE({kinds})", [1, True, "1"]),
        ("ARRAYCOMPACT({gaps})", [1, 2, False, 5]),  # [D]
        ("ARRAYCOMPACT({blanks})", [" "]),
        ("ARRAYFLATTEN({nested})", [1, 2, 3, False]),  # [D]
        ("ARRAYFLATTEN(values, 4)", [1, 2, 3, 4]),
        ("ARRAYSLICE({letters}, 2, 3)", ["B", "C"]),  # [D]
        ("ARRAYSLICE({letters}, 2)", ["B", "C", "D"]),
        ("ARRAYSLICE({letters}, -2)", ["C", "D"]),
        ("ARRAYSLICE({letters}, 1, -2)", ["A", "B", "C"]),
        ("ARRAYSLICE({letters}, 9)", []),
        ("ARRAYSLICE({letters}, 3, 2)", []),
        ("ARRAYSLICE({letters}, -99)", ["A", "B", "C", "D"]),
        ("ARRAYSLICE({letters}, 0/0, 1/0)", ["A", "B", "C", "D"]),
        ("ARRAYSLICE('x', 1)", ["x"]),
        ("COUNTA(ARRAYUNIQUE({double}))", 3),
        ("LEN(ARRAYCOMPACT(values))", 7),
    ],
)
def test_arrays(evaluate: Callable[..., Any], text: str, expected: Value) -> None:
    fields: dict[str, Value] = {
        "values": [1, 2, 3],
        "double": [1, 2, 3, 3, 2, 1],
        "kinds": [1, True, "1", 1],
        "gaps": [1, 2, False, None, 5],
        "blanks": ["", " ", None],
        "nested": [[1, 2, "", 3], [False]],
        "letters": ["A", "B", "C", "D"],
    }
    result = evaluate(text, **fields)
    assert result == expected
    if isinstance(expected, list):
        assert [type(item) for item in result] == [type(item) for item in expected]


def test_the_record(make_row: Callable[..., Any], now: datetime.datetime) -> None:
    changed = datetime.datetime(2026, 3, 4, tzinfo=datetime.UTC)
    row = make_row(changes={"a": changed})

    def evaluate(text: str) -> Value:
        return compile_formula(parse(text), lambda name: name)(row, now)

    assert evaluate("RECORD_ID()") == row.record_id
    assert evaluate("CREATED_TIME()") == row.created_time
    assert evaluate("LAST_MODIFIED_TIME()") == row.last_modified_time
    assert evaluate("LAST_MODIFIED_TIME({a}, b)") == changed
    assert evaluate("LAST_MODIFIED_TIME(b)") is None
    assert evaluate("LAST_MODIFIED_TIME(b)=BLANK()") == 1
