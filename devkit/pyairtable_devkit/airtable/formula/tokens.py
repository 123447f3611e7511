"""Text to tokens: quoting and escaping of strings and field names live here, both ways."""

import re
from typing import NamedTuple

from pyairtable_devkit.airtable.formula.errors import FormulaError

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<braces>\{(?:[^}\\]|\\.)*\})
    | (?P<name>[^\W\d]\w*)
    | (?P<operator>!=|<=|>=|[-+*/&=<>])
    | (?P<punctuation>[(),])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_TEXT_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "'": "'", "\\": "\\"}
_NAME_ESCAPES = {"{": "{", "}": "}", "\\": "\\"}


class Token(NamedTuple):
    kind: str
    """number, text, braces, name, operator, punctuation or end."""
    text: str
    """For `text` and `braces` what they stand for, otherwise as written."""
    start: int
    end: int


def tokenize(source: str) -> list[Token]:
    """The tokens of a formula, the last one of kind `end`; raises FormulaError at a character of no token."""
    tokens: list[Token] = []
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            raise FormulaError(f"unexpected {source[position]!r} at character {position + 1}")
        kind, end = str(match.lastgroup), match.end()
        if kind != "space":
            tokens.append(Token(kind, _meaning(kind, match.group()), position, end))
        position = end
    tokens.append(Token("end", "", position, position))
    return tokens


def _meaning(kind: str, written: str) -> str:
    if kind == "text":
        return _unescape(written[1:-1], _TEXT_ESCAPES)
    if kind == "braces":
        return _unescape(written[1:-1], _NAME_ESCAPES)
    return written


def _unescape(text: str, escapes: dict[str, str]) -> str:
    """Known escapes resolved; any other backslash stays, so that regular expressions may be written plainly."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: escapes.get(match[1], match[0]), text)


def braced(name: str) -> str:
    """A field reference to `name`, e.g. `{First Name}`."""
    escaped = name.replace("\\", "\\\\").replace("}", "\\}")
    return f"{{{escaped}}}"
