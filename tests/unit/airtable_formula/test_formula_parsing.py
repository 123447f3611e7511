"""What is a formula and what is not, and how its parts bind."""

from collections.abc import Callable
from typing import Any

import pytest

from pyairtable_devkit.airtable.formula import FormulaError, parse, render_formula


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1+2*3", 7),
        ("(1+2)*3", 9),
        ("10-4-3", 3),
        ("100/10/5", 2),
        ("2*-3", -6),
        ("-2-3", -5),
        ("1 - -1", 2),
        ("1+1&2+2", "24"),
        ("1&2=12", 0),
        ("1&2='12'", 1),
        ("1+1=2", 1),
        ("'a'&'b'='ab'", 1),
        ("3>2=1", 1),
        ("1<2", 1),
        ("2<=2", 1),
        ("3!=4", 1),
        (".5+.25", 0.75),
        ("if(1,'yes','no')", "yes"),
        ("If (0 , 'yes' , 'no' )", "no"),
        ("\n1\t+\n2 ", 3),
    ],
)
def test_operators_bind_as_documented(evaluate: Callable[..., Any], text: str, expected: object) -> None:
    assert evaluate(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"double"', "double"),
        ("'single'", "single"),
        (r"'Jane\'s'", "Jane's"),
        (r'"a \"quote\""', 'a "quote"'),
        (r"'back\\slash'", "back\\slash"),
        (r"'end\\'", "end\\"),
        (r"'line\nbreak'", "line\nbreak"),
        (r"'tab\t'", "tab\t"),
        (r"'\d+'", r"\d+"),
        ("'“curly” quotes inside'", "“curly” quotes inside"),
        ("'two\nlines'", "two\nlines"),
        ("''", ""),
        ("'ünï 🎉'", "ünï 🎉"),
    ],
)
def test_text_literals(evaluate: Callable[..., Any], text: str, expected: str) -> None:
    assert evaluate(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "1+",
        "+1",
        "*1",
        "(1",
        "1)",
        "()",
        "1 2",
        "1.2.3",
        "1e5",
        "'open",
        '"open',
        "{Open",
        "{}",
        "}",
        "“curly”",
        "‘curly’",
        "a b",
        "1==1",
        "1<>2",
        "a && b",
        "!a",
        "IF(1,,2)",
        "IF(1,2,)",
        "IF(,1)",
        "IF(1,2",
        "SUM(1;2)",
        "[1,2]",
        "1;",
        "#ERROR!",
        "'a' 'b'",
        "{a}{b}",
        "\\",
        "\x00",
        "'\\'",
    ],
)
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(FormulaError, match=r"^Invalid formula\. Please check your formula text\.$"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "NOSUCH(1)",
        "COUNTIF(1)",
        "IF(1)",
        "IF(1,2,3,4)",
        "AND()",
        "NOT()",
        "NOT(1,2)",
        "BLANK(1)",
        "TODAY(1)",
        "SWITCH(1,2)",
        "LEFT('a')",
        "MID('a',1)",
        "CONCATENATE()",
        "DATEADD('2026-01-01',1)",
        "LAST_MODIFIED_TIME(1)",
        "LAST_MODIFIED_TIME(LOWER({a}))",
    ],
)
def test_unknown_functions_and_wrong_arguments_are_refused(text: str) -> None:
    with pytest.raises(FormulaError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{First Name}", ["First Name"]),
        ("Price * Quantity", ["Price", "Quantity"]),
        ("{a}+{b}+{a}", ["a", "b"]),
        (r"{with \} brace}", ["with } brace"]),
        (r"{with \{ brace}", ["with { brace"]),
        (r"{back\\slash}", ["back\\slash"]),
        (r"{back\slash}", ["back\\slash"]),
        ('{Guest\'s "Name"}', ['Guest\'s "Name"']),
        ("{fldAbCdEfGhIjKlMn}", ["fldAbCdEfGhIjKlMn"]),
        ("{ padded }", [" padded "]),
        ("größe > 3", ["größe"]),
        ("{名前}='x'", ["名前"]),
        ("TRUE", ["TRUE"]),
        ("'{not a field}'", []),
        ("SUM(values)", ["values"]),
        ("sum + 1", ["sum"]),
    ],
)
def test_field_names_as_written(text: str, names: list[str]) -> None:
    assert parse(text).field_names() == names


def test_rendering_renames_fields_and_keeps_the_rest() -> None:
    ids = {"First Name": "fldAAAAAAAAAAAAAA", "Age": "fldBBBBBBBBBBBBBB"}
    expression = parse("IF( {First Name}='{Age}',\n  Age*1.50 , \"\" )")
    assert render_formula(expression, ids.__getitem__) == (
        "IF( {fldAAAAAAAAAAAAAA}='{Age}',\n  {fldBBBBBBBBBBBBBB}*1.50 , \"\" )"
    )


@pytest.mark.parametrize("name", [r"odd } \ { name", "ends with \\", r"a\}b", r"a\\b", "}"])
def test_rendering_escapes_names(name: str) -> None:
    rendered = render_formula(parse("a & 'rest'"), lambda _: name)
    assert parse(rendered).field_names() == [name]


def test_parsing_again_gives_the_same_object() -> None:
    assert parse("{cached} + 1") is parse("{cached} + 1")


def test_the_reason_stands_in_the_error() -> None:
    with pytest.raises(FormulaError) as caught:
        parse("SUMM(1)")
    assert caught.value.reason == "unknown function SUMM"
    with pytest.raises(FormulaError) as caught:
        parse("1 + ?")
    assert caught.value.reason == "unexpected '?' at character 5"
