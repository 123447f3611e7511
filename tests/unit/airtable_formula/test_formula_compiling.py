"""Binding a formula to the fields of a table."""

import datetime
from collections.abc import Callable, Hashable
from typing import Any

import pytest

from pyairtable_devkit.airtable.formula import FormulaError, ResultType, UnknownFieldNames, compile_formula, parse

KEYS: dict[str, Hashable] = {"Name": 1, "fldNAME": 1, "Age": 2, "Due": 3}


def test_names_and_ids_resolve_to_keys() -> None:
    compiled = compile_formula(parse("{fldNAME}&Name&LAST_MODIFIED_TIME({Age})"), KEYS.get)
    assert compiled.keys == {1, 2}


def test_a_formula_without_fields_depends_on_nothing() -> None:
    assert compile_formula(parse("1+1"), KEYS.get).keys == frozenset()


def test_all_unknown_fields_are_named() -> None:
    with pytest.raises(UnknownFieldNames) as caught:
        compile_formula(parse("Name & {Nope} & Other & {Nope}"), KEYS.get)
    assert caught.value.names == ["Nope", "Other"]
    assert isinstance(caught.value, FormulaError)
    assert str(caught.value) == "Unknown field names: nope, other"


def test_a_key_may_be_false(make_row: Callable[..., Any], now: datetime.datetime) -> None:
    compiled = compile_formula(parse("{x}"), {"x": 0}.get)
    assert compiled(make_row({"0": "found"}), now) == "found"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'a'", "text"),
        ("1", "number"),
        ("-Age", "number"),
        ("1+1", "number"),
        ("1&1", "text"),
        ("Age>3", "number"),
        ("Name", "text"),
        ("Age", "number"),
        ("Due", "date"),
        ("LEFT(Name,1)", "text"),
        ("LEN(Name)", "number"),
        ("TODAY()", "date"),
        ("NOW()", "dateTime"),
        ("DATEADD(Due,1,'d')", "dateTime"),
        ("WORKDAY(Due,1)", "date"),
        ("IF(Age,1,2)", "number"),
        ("IF(Age,1,'b')", "text"),
        ("IF(Age,Due)", "date"),
        ("IF(Age,BLANK(),5)", "number"),
        ("IF(Age,BLANK())", "text"),
        ("SWITCH(Age,1,2,3,4)", "number"),
        ("SWITCH(Age,1,2,3,4,'x')", "text"),
        ("SWITCH(Name,'a',Due,'b',Due)", "date"),
        ("MAX(1,2)", "number"),
        ("MAX(Due)", "date"),
        ("ARRAYUNIQUE(Name)", "list"),
        ("BLANK()", "text"),
    ],
)
def test_result_type(text: str, expected: ResultType) -> None:
    types: dict[Hashable, ResultType] = {1: "text", 2: "number", 3: "date"}
    assert compile_formula(parse(text), KEYS.get, types.__getitem__).result_type == expected


def test_one_compiled_formula_serves_many_rows(make_row: Callable[..., Any], now: datetime.datetime) -> None:
    compiled = compile_formula(parse("{n}*2"), lambda name: name)
    assert [compiled(make_row({"n": n}), now) for n in (1, 2, 3)] == [2, 4, 6]
