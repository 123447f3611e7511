"""Text functions as Airtable's formula field reference (and pyairtable, from it) describes them."""

from collections.abc import Callable
from typing import Any

import pytest

from pyairtable_devkit.airtable.formula import ERROR, Value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'John'&' '&'Smith'", "John Smith"),
        ("CONCATENATE('a', 1, 2.5, BLANK())", "a12.5"),
        ("FIND('fox', 'quick brown fox')", 13),
        ("FIND('Fox', 'quick brown fox')", 0),
        ("FIND('o', 'quick brown fox', 10)", 14),
        ("FIND('o', 'quick brown fox', 0)", 9),
        ("FIND('', 'abc')", 1),
        ("FIND('b', {list})", 4),
        ("FIND('a', BLANK())", 0),
        ("SEARCH('world', 'Hello World')", 7),
        ("SEARCH('WORLD', 'Hello World')", 7),
        ("SEARCH('x', 'Hello World')", None),
        ("SEARCH('o', 'Hello World', 6)", 8),
        ("SEARCH('b', 'İb')", 2),
        ("LEFT('quick brown fox', 5)", "quick"),
        ("LEFT('abc', 0)", ""),
        ("LEFT('abc', -1)", ""),
        ("LEFT('abc', 99)", "abc"),
        ("LEFT(1234, 2)", "12"),
        ("RIGHT('quick brown fox', 5)", "n fox"),
        ("RIGHT('abc', 0)", ""),
        ("RIGHT('abc', 99)", "abc"),
        ("MID('quick brown fox', 7, 5)", "brown"),
        ("MID('abc', 0, 2)", "ab"),
        ("MID('abc', 2, 99)", "bc"),
        ("MID('abc', 9, 1)", ""),
        ("LEN('quick brown fox')", 15),
        ("LEN(BLANK())", 0),
        ("LEN(12.5)", 4),
        ("LOWER('Hello!')", "hello!"),
        ("UPPER('Hello!')", "HELLO!"),
        ("UPPER('ß')", "SS"),
        ("TRIM(' Hello! ')", "Hello!"),
        ("TRIM('  a  b  ')", "a  b"),
        ("REPT('Hi! ', 3)", "Hi! Hi! Hi! "),
        ("REPT('a', 0)", ""),
        ("REPT('a', -5)", ""),
        ("REPT('a', 2.9)", "aa"),
        ("REPLACE('database', 2, 5, 'o')", "dose"),
        ("REPLACE('abc', 1, 0, 'X')", "Xabc"),
        ("REPLACE('abc', 9, 1, 'X')", "abcX"),
        ("SUBSTITUTE('gold mold', 'old', 'et')", "get met"),
        ("SUBSTITUTE('gold mold', 'old', 'et', 1)", "get mold"),
        ("SUBSTITUTE('gold mold', 'old', 'et', 2)", "gold met"),
        ("SUBSTITUTE('gold mold', 'old', 'et', 3)", "gold mold"),
        ("SUBSTITUTE('abc', '', 'x')", "abc"),
        ("SUBSTITUTE('aaa', 'aa', 'b')", "ba"),
        ("T('text only')", "text only"),
        ("T(42)", None),
        ("T({list})", "a, b"),
        ("ENCODE_URL_COMPONENT('chicken & waffles')", "chicken%20%26%20waffles"),
        ("ENCODE_URL_COMPONENT('a-b_c.d~e')", "a-b_c.d~e"),
        ("ENCODE_URL_COMPONENT('é/?(!)')", "%C3%A9%2F%3F%28%21%29"),
        ("VALUE('$10000')", 10000),
        ("VALUE('$10,000.50')", 10000.5),
        ("VALUE(' 12 ')", 12),
        ("VALUE('-3')", -3),
        ("VALUE('50%')", 0.5),
        ("VALUE(7)", 7),
        ("VALUE('')", None),
        ("VALUE('abc')", ERROR),
        ("VALUE('5 apples')", ERROR),
    ],
)
def test_text_functions(evaluate: Callable[..., Any], text: str, expected: Value) -> None:
    assert evaluate(text, list=["a", "b"]) == expected


def test_positions_that_are_no_numbers_do_no_harm(evaluate: Callable[..., Any]) -> None:
    for position in ("0/0", "1/0", "-1/0"):
        for text in ("LEFT('abc',{})", "RIGHT('abc',{})", "MID('abc',{0},{0})", "FIND('b','abc',{})"):
            assert evaluate(text.format(position)) in ("", "abc", "a", "bc", "ab", 0, 2)


def test_half_a_surrogate_pair_cannot_be_encoded(evaluate: Callable[..., Any]) -> None:
    assert evaluate("ENCODE_URL_COMPONENT({x})", x="\ud800") == ERROR
