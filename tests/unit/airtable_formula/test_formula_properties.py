"""Properties of parser and evaluator over generated formulas."""

import datetime
import math
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyairtable.formulas import field_name, quoted

from pyairtable_devkit.airtable.formula import (
    ERROR,
    FormulaError,
    FormulaErrorValue,
    Value,
    is_truthy,
    parse,
    render_formula,
)
from pyairtable_devkit.airtable.formula.functions import FUNCTIONS
from pyairtable_devkit.airtable.formula.nodes import Call, Chain, FieldReference, Literal, Negate, Node
from pyairtable_devkit.airtable.formula.values import number_text

# No deadline and no complaint about speed: the machine that runs the tests may be busy.
STEADY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LEVELS = [["=", "!=", "<", "<=", ">", ">="], ["&"], ["+", "-"], ["*", "/"]]


def _chains(operands: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    def chain(operators: list[str]) -> st.SearchStrategy[Node]:
        rest = st.lists(st.tuples(st.sampled_from(operators), operands), min_size=1, max_size=3)
        return st.builds(lambda first, steps: Chain(first, tuple(steps)), operands, rest)

    return st.sampled_from(LEVELS).flatmap(chain)


def _calls(arguments: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    def call(name: str) -> st.SearchStrategy[Node]:
        function = FUNCTIONS[name]
        fields = st.builds(FieldReference, NAMES)
        most = len(function.kinds) + (2 if function.rest else 0)
        each = fields if "field" in (*function.kinds, function.rest) else arguments
        listed = st.lists(each, min_size=function.required, max_size=most)
        return st.builds(lambda found: Call(name, tuple(found)), listed)

    return st.sampled_from(sorted(FUNCTIONS)).flatmap(call)


LEAVES: st.SearchStrategy[Node] = st.one_of(
    st.builds(Literal, st.one_of(TEXTS, st.integers(0, 10**6).map(float), st.decimals(0, 1000, places=3).map(float))),
    st.builds(
        Literal, st.sampled_from(["2026-11-22", "11/22/2026 3:00 pm", "days", "M", "YYYY-MM-DD", "(a|b)*c", "UTC"])
    ),
    st.builds(FieldReference, st.one_of(NAMES, st.sampled_from(["n", "t", "d", "m", "l", "e", "b"]))),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(_chains(inner), _calls(inner), st.builds(Negate, inner)),
    max_leaves=12,
)
FIELDS: dict[str, Value] = {
    "n": -2.5,
    "t": "some text",
    "d": datetime.date(9999, 12, 31),
    "m": datetime.datetime(2026, 11, 22, 9, 30, tzinfo=datetime.UTC),
    "l": [1, "two", None, datetime.date(1, 1, 1), [3.5]],
    "e": ERROR,
    "b": True,
}


def written(node: Node) -> str:
    """A text for the tree: every operand of an operator in parentheses where they might be needed."""
    match node:
        case Literal(str(text)):
            return quoted(text)
        case Literal(number):
            return f"{number:.6f}".rstrip("0").rstrip(".")
        case FieldReference(name):
            return "{" + name.replace("\\", "\\\\").replace("}", "\\}") + "}"
        case Negate(operand):
            return f"-({written(operand)})"
        case Call(name, arguments):
            return f"{name}({', '.join(map(written, arguments))})"
        case Chain(first, rest):
            parts = [f"({written(first)})", *(f"{sign}({written(operand)})" for sign, operand in rest)]
            return " ".join(parts)


@STEADY
@given(TREES)
def test_a_tree_written_and_parsed_is_the_same_tree(tree: Node) -> None:
    assert parse(written(tree)).root == tree


@STEADY
@given(TREES)
def test_rendering_without_renaming_changes_nothing(tree: Node) -> None:
    expression = parse(written(tree))
    rendered = render_formula(expression, lambda name: name)
    assert parse(rendered).root == tree
    assert parse(render_formula(expression, lambda name: name[::-1] + "x")).field_names() == list(
        dict.fromkeys(name[::-1] + "x" for name in expression.field_names())
    )


@settings(STEADY, max_examples=200)
@given(TREES)
def test_every_formula_has_a_value_or_an_error_value(evaluate: Callable[..., Any], tree: Node) -> None:
    value = evaluate(written(tree), **FIELDS)
    assert isinstance(value, str | int | float | bool | datetime.date | list | FormulaErrorValue | None)
    assert is_truthy(value) in (True, False)


@settings(STEADY, max_examples=200)
@given(st.text("1+-*/&=<>!()\"'{}\\,. aIFORSUMLEN\n“é", max_size=40))
def test_any_text_parses_or_is_refused(evaluate: Callable[..., Any], text: str) -> None:
    try:
        parse(text)
    except FormulaError:
        return
    evaluate(text)


@STEADY
@given(st.text())
def test_text_escaped_as_pyairtable_does_comes_back(evaluate: Callable[..., Any], text: str) -> None:
    assert evaluate(quoted(text)) == text


@STEADY
@given(TEXTS, TEXTS)
def test_text_equals_only_itself(evaluate: Callable[..., Any], left: str, right: str) -> None:
    assert evaluate(f"{{x}}={quoted(right)}", x=left) == int(left == right)


@STEADY
@given(NAMES.filter(lambda name: "\\" not in name))
def test_field_names_escaped_as_pyairtable_does_come_back(name: str) -> None:
    assert parse(field_name(name)).field_names() == [name]


FINITE = st.one_of(st.integers(-(10**9), 10**9).map(float), st.floats(-1e9, 1e9, allow_subnormal=False))


@STEADY
@given(FINITE, FINITE)
def test_arithmetic_agrees_with_python(evaluate: Callable[..., Any], x: float, y: float) -> None:
    assert evaluate("{x}+{y}", x=x, y=y) == x + y
    assert evaluate("{x}-{y}", x=x, y=y) == x - y
    assert evaluate("{x}*{y}", x=x, y=y) == x * y
    assert evaluate("-{x}", x=x) == -x
    if y:
        assert evaluate("{x}/{y}", x=x, y=y) == x / y
    for sign, holds in [("<", x < y), ("<=", x <= y), (">", x > y), (">=", x >= y), ("=", x == y), ("!=", x != y)]:
        assert evaluate(f"{{x}}{sign}{{y}}", x=x, y=y) == int(holds)


@STEADY
@given(st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 99)), min_size=1, max_size=8))
def test_precedence_agrees_with_python(evaluate: Callable[..., Any], steps: list[tuple[str, int]]) -> None:
    text = "7" + "".join(f"{sign}{number}" for sign, number in steps)
    assert evaluate(text) == eval(text)  # noqa: S307 - digits and + - * only


@STEADY
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_text_is_read_back_as_the_number(number: float) -> None:
    assert float(number_text(number)) == number


@STEADY
@given(st.floats(-1e6, 1e6), st.integers(0, 6))
@example(1.005, 2)
@example(-0.5, 0)
def test_rounding_brackets_the_number(evaluate: Callable[..., Any], number: float, digits: int) -> None:
    step = 10**-digits
    nearest = evaluate("ROUND({x},{d})", x=number, d=digits)
    up, down = evaluate("ROUNDUP({x},{d})", x=number, d=digits), evaluate("ROUNDDOWN({x},{d})", x=number, d=digits)
    assert abs(nearest - number) <= step / 2 * (1 + 1e-6)
    assert abs(down) <= abs(number) * (1 + 1e-12) + 1e-12
    assert abs(up) >= abs(number) * (1 - 1e-12) - 1e-12
    assert nearest in (up, down)


@STEADY
@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2200, 1, 1)), st.integers(-500, 500))
def test_working_days_there_and_back(evaluate: Callable[..., Any], day: datetime.date, number: int) -> None:
    end = evaluate("WORKDAY({d},{n})", d=day, n=number)
    step = 1 if number > 0 else -1
    days = [day + datetime.timedelta(days=step * passed) for passed in range(1, abs((end - day).days) + 1)]
    assert sum(passed.weekday() < 5 for passed in days) == abs(number)
    if number:
        assert end.weekday() < 5


@STEADY
@given(st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1), timezones=st.just(datetime.UTC)))
def test_what_is_formatted_can_be_parsed(evaluate: Callable[..., Any], moment: datetime.datetime) -> None:
    whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    for pattern in ("YYYY-MM-DD[T]HH:mm:ss.SSSZ", "D MMMM YYYY h:mm:ss.SSS A", "x", "dddd, MMM Do YYYY HH:mm:ss.SSS"):
        text = evaluate("DATETIME_FORMAT({m},{p})", m=whole, p=pattern)
        assert evaluate("DATETIME_PARSE({t},{p})", t=text, p=pattern) == whole, text
    assert evaluate("DATETIME_PARSE({m}&'')", m=whole) == whole


@STEADY
@given(st.lists(st.one_of(st.integers(-99, 99), st.floats(-99, 99)), min_size=1))
def test_lists_are_flattened(evaluate: Callable[..., Any], numbers: list[float]) -> None:
    nested: Value = [list(numbers[:2]), *numbers[2:]]
    assert math.isclose(evaluate("SUM({l})", l=nested), math.fsum(numbers), abs_tol=1e-6)
    assert evaluate("MAX({l})", l=nested) == max(numbers)
    assert evaluate("MIN({l})", l=nested) == min(numbers)
    assert evaluate("COUNT({l})", l=nested) == len(numbers)
