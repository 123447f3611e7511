"""Regular expressions in RE2's syntax; what `re` and the simulation find must be the same."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyairtable_devkit.airtable.formula import ERROR, Value
from pyairtable_devkit.airtable.formula.errors import Uncomputable
from pyairtable_devkit.airtable.formula.regex.cost import worst_case
from pyairtable_devkit.airtable.formula.regex.simulation import compile_program, search
from pyairtable_devkit.airtable.formula.regex.syntax import parse, python_source


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("REGEX_MATCH('Hello World', 'Hello.World')", 1),
        ("REGEX_MATCH('Hello World', '^World')", 0),
        ("REGEX_MATCH('hello', 'HELLO')", 0),
        ("REGEX_MATCH('hello', '(?i)HELLO')", 1),
        ("REGEX_MATCH('a\nb', 'a.b')", 0),
        ("REGEX_MATCH('a\nb', '(?s)a.b')", 1),
        ("REGEX_MATCH('a\nb', '^b$')", 0),
        ("REGEX_MATCH('a\nb', '(?m)^b$')", 1),
        ("REGEX_MATCH('a\n', 'a$')", 0),
        ("REGEX_MATCH('ab', 'a(?-i:B)')", 0),
        ("REGEX_MATCH('٣', '\\d')", 0),
        ("REGEX_MATCH('É', '(?i)é')", 1),
        ("REGEX_MATCH({blank}, 'x')", 0),
        ("REGEX_MATCH(12, '^[0-9]+$')", 1),
        ("REGEX_EXTRACT('Hello World', 'W.*')", "World"),
        ("REGEX_EXTRACT('id-123', '[0-9]+')", "123"),
        ("REGEX_EXTRACT('id-123', '\\d+')", "123"),
        ("REGEX_EXTRACT('id-123', '\\\\d+')", "123"),
        ("REGEX_EXTRACT('aaa', 'a+?')", "a"),
        ("REGEX_EXTRACT('x@example.com, y', '[\\w.]+@[\\w.]+')", "x@example.com"),
        ("REGEX_EXTRACT('foo', 'bar')", ERROR),
        ("REGEX_EXTRACT('a]b', '[]]')", "]"),
        ("REGEX_EXTRACT('a-b_C', '[[:upper:]_]+')", "_C"),
        ("REGEX_EXTRACT('a{b', 'a{b')", "a{b"),
        ("REGEX_EXTRACT('tab\tx', '\\tx')", "\tx"),
        ("REGEX_EXTRACT('naïve', '\\x{ef}')", "ï"),
        ("REGEX_REPLACE('Hello World', ' W.*', '')", "Hello"),
        ("REGEX_REPLACE('a1b22', '[0-9]+', '#')", "a#b#"),
        ("REGEX_REPLACE('John Smith', '(\\w+) (\\w+)', '$2, $1')", "Smith, John"),
        ("REGEX_REPLACE('5', '(5)', '$$$1')", "$5"),
        ("REGEX_REPLACE('5', '5', '$1$0')", "$15"),
        ("REGEX_REPLACE('ab', '(a)|(b)', '[$1$2]')", "[a][b]"),
        ("REGEX_REPLACE('abxd', 'x*', '-')", "-a-b-d-"),
        ("REGEX_REPLACE('abc', '', '-')", "-a-b-c-"),
        ("REGEX_REPLACE('a.b', '\\.', '')", "ab"),
        ("REGEX_REPLACE('x', '(?P<n>x)', '<$1>')", "<x>"),
    ],
)
def test_regex_functions(evaluate: Callable[..., Any], text: str, expected: Value) -> None:
    assert evaluate(text) == expected


@pytest.mark.parametrize(
    "pattern",
    ["(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", r"(a)\1", "(?P=n)", "(?>a)", "a++", "a**", "*a", "(a", "a)", "[a", "[z-a]",
     "a{2,1}", "a{1001}", r"\p{L}", r"\k<n>", r"\Z", "(?#c)", "(?(1)a)", "a\\", "[[:nope:]]", r"\x{110000}",
     "(" * 40 + ")" * 40, "a" * 1001],
)  # fmt: skip
def test_what_re2_refuses_has_no_value(evaluate: Callable[..., Any], pattern: str) -> None:
    assert evaluate("REGEX_MATCH('aaaa', {p})", p=pattern) == ERROR


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("(a|a)*b", "a" * 3000, False),
        ("(a|a)*b", "a" * 3000 + "b", True),
        ("(a*)*b", "a" * 3000, False),
        ("(a+)+$", "a" * 3000 + "!", False),
        ("(.*a){12}", "a" * 200, True),
        ("a*a*a*a*a*b", "a" * 3000, False),
        (".*,.*,.*;", "x," * 300, False),
        ("(a?){30}a{30}", "a" * 30, True),
    ],
)
def test_patterns_that_stop_a_backtracking_matcher(
    evaluate: Callable[..., Any], pattern: str, text: str, found: bool
) -> None:
    assert evaluate("REGEX_MATCH({t}, {p})", t=text, p=pattern) == int(found)


# No deadline and no complaint about speed: the machine that runs the tests may be busy.
STEADY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
_ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", "(?:a|b)", "^", "$", r"\b", "(?i:A)"])
_PATTERNS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "*?", "+?", "??"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)


@STEADY
@given(pattern=_PATTERNS, text=st.text("abA\n ", max_size=8))
def test_the_simulation_finds_what_re_finds(pattern: str, text: str) -> None:
    tree = parse(pattern)
    expected = re.compile(python_source(tree)).search(text)
    found = search(compile_program(tree), text, 0, 9, lambda steps: None)
    assert (found is None) == (expected is None)
    if found and expected:
        assert found[0] == expected.start()
        if "*)" not in pattern and "?)" not in pattern:  # engines differ on loops around the empty text
            assert found[:2] == expected.span()


@STEADY
@given(st.text("ab()[]{}|*+?.^$\\dwx-:1,&~\n", max_size=20))
def test_any_text_is_a_pattern_or_refused(pattern: str) -> None:
    try:
        tree = parse(pattern)
    except Uncomputable:
        return
    re.compile(python_source(tree))
    assert worst_case(tree, 10) >= 1
