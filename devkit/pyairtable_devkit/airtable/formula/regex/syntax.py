"""A pattern's text to its tree, and the tree back to the text of Python's `re`."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from pyairtable_devkit.airtable.formula.errors import Uncomputable

MAX_PATTERN = 1_000
MAX_GROUPS_DEPTH = 30
MAX_REPEAT = 1_000  # RE2's own limit


@dataclass(frozen=True, slots=True)
class One:
    """One character out of a class, in the syntax of `re`."""

    source: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """A place in the text, such as its end or a word boundary, in the syntax of `re`."""

    source: str


@dataclass(frozen=True, slots=True)
class Group:
    body: "Node"
    index: int | None
    """None when the group does not capture."""


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    branches: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    body: "Node"
    low: int
    high: int | None
    greedy: bool


Node: TypeAlias = One | Assertion | Group | Sequence | Alternatives | Repeat

_QUANTIFIER = re.compile(r"([*+?]|\{(\d{1,5})(?:(,)(\d{1,5})?)?\})(\?)?", re.ASCII)
_GROUP_START = re.compile(r"\(\?(?:P?<[A-Za-z_]\w*>|([ims]*)(?:-([ims]+))?([:)]))", re.ASCII)
_CLASS = re.compile(r"\[\^?\]?(?:\[:\^?[a-z]+:\]|\\x\{[0-9A-Fa-f]+\}|\\.|[^\]\\])*\]", re.DOTALL)
_HEX = re.compile(r"\\x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))")
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "digit": "0-9",
    "lower": "a-z",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_PLACES = {"\\b": r"\b", "\\B": r"\B", "\\A": r"\A", "\\z": r"\Z"}


@lru_cache(maxsize=256)
def parse(pattern: str) -> Node:
    """The tree of a pattern; Uncomputable when it is not RE2 or too large."""
    if len(pattern) > MAX_PATTERN:
        raise Uncomputable
    parser = _Parser(pattern)
    node = parser.alternatives(frozenset())
    if parser.position < len(pattern):
        raise Uncomputable  # a closing parenthesis without an opening one
    return node


def python_source(node: Node) -> str:
    """The tree as a pattern of `re`."""
    match node:
        case One(source) | Assertion(source):
            return source
        case Group(body, index):
            return f"({'' if index else '?:'}{python_source(body)})"
        case Sequence(parts):
            return "".join(map(python_source, parts))
        case Alternatives(branches):
            return "|".join(map(python_source, branches))
        case Repeat(body, low, high, greedy):
            return f"(?:{python_source(body)}){{{low},{'' if high is None else high}}}{'' if greedy else '?'}"


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.position = 0
        self.groups = 0
        self.depth = 0

    def alternatives(self, flags: frozenset[str]) -> Node:
        """Up to the end or the closing parenthesis."""
        self.depth += 1
        if self.depth > MAX_GROUPS_DEPTH:
            raise Uncomputable
        branches: list[Node] = []
        parts: list[Node] = []
        while (letter := self.pattern[self.position : self.position + 1]) not in ("", ")"):
            if letter == "|":
                self.position += 1
                branches.append(Sequence(tuple(parts)))
                parts = []
            elif (changed := self._flags_only(flags)) is not None:
                flags = changed
            else:
                parts.append(self._repeated(self._atom(letter, flags)))
        self.depth -= 1
        last = Sequence(tuple(parts))
        return Alternatives((*branches, last)) if branches else last

    def _flags_only(self, flags: frozenset[str]) -> frozenset[str] | None:
        """The flags after `(?i)`, which hold to the end of the group; None for anything else."""
        match = _GROUP_START.match(self.pattern, self.position)
        if match is None or match[3] != ")":
            return None
        self.position = match.end()
        return (flags | set(match[1])) - set(match[2] or "")

    def _atom(self, letter: str, flags: frozenset[str]) -> Node:
        if letter == "(":
            return self._group(flags)
        if letter == "[":
            return self._class(flags)
        if letter == "\\":
            return self._escape(flags)
        if letter in "*+?":
            raise Uncomputable  # nothing to repeat
        self.position += 1
        match letter:
            case ".":
                return One("(?s:.)" if "s" in flags else r"[^\n]")
            case "^":
                return Assertion("(?m:^)" if "m" in flags else r"\A")
            case "$":
                return Assertion("(?m:$)" if "m" in flags else r"\Z")
        return _one(re.escape(letter), flags)

    def _group(self, flags: frozenset[str]) -> Node:
        index: int | None = None
        match = _GROUP_START.match(self.pattern, self.position)
        if self.pattern.startswith("(?", self.position):
            if match is None:  # look-around, atomic groups, conditions
                raise Uncomputable
            self.position = match.end()
        else:
            self.position += 1
        if match is None or match[3] is None:
            self.groups += 1
            index = self.groups
        elif match[3] == ":":
            flags = (flags | set(match[1])) - set(match[2] or "")
        body = self.alternatives(flags)
        if not self.pattern.startswith(")", self.position):
            raise Uncomputable
        self.position += 1
        return Group(body, index)

    def _class(self, flags: frozenset[str]) -> Node:
        match = _CLASS.match(self.pattern, self.position)
        if match is None:
            raise Uncomputable
        self.position = match.end()
        return _one(_python_class(match[0]), flags)

    def _escape(self, flags: frozenset[str]) -> Node:
        if match := _HEX.match(self.pattern, self.position):
            self.position = match.end()
            return _one(_hex_source(match), flags)
        escape = self.pattern[self.position : self.position + 2]
        self.position += 2
        if escape in _PLACES:
            return Assertion(f"(?a:{_PLACES[escape]})")
        known_letter = escape[1:] in tuple("dDwWsSntrfva")
        if len(escape) < 2 or (escape[1].isalnum() and not known_letter):
            raise Uncomputable  # back-references and classes that `re` does not know
        return _one(escape if known_letter else re.escape(escape[1]), flags)

    def _repeated(self, node: Node) -> Node:
        match = _QUANTIFIER.match(self.pattern, self.position)
        if match is None:
            return node
        self.position = match.end()
        if _QUANTIFIER.match(self.pattern, self.position):
            raise Uncomputable  # a**
        low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(match[1]) or _bounds(match)
        if max(low, high or 0) > MAX_REPEAT or (high is not None and high < low):
            raise Uncomputable
        return Repeat(node, low, high, greedy=match[5] is None)


def _bounds(match: re.Match[str]) -> tuple[int, int | None]:
    low = int(match[2])
    if match[3] is None:
        return low, low
    return low, int(match[4]) if match[4] else None


def _one(source: str, flags: frozenset[str]) -> One:
    """Classes such as \\w are ASCII in RE2; the case of letters is not."""
    scoped = f"(?i:{source})" if "i" in flags else source
    if re.search(r"\\[dDwWsS]", source):
        scoped = f"(?a{'i' if 'i' in flags else ''}:{source})"
    try:
        re.compile(scoped)
    except re.error:
        raise Uncomputable from None
    return One(scoped)


def _python_class(written: str) -> str:
    """A bracket class for `re`: named classes spelled out, brackets inside escaped."""
    head = re.match(r"\[\^?\]?", written)
    start = head.end() if head else 1
    inner = re.sub(r"\[:(\^?)([a-z]+):\]", _posix, written[start:-1])
    inner = _HEX.sub(_hex_source, inner)
    inner = re.sub(r"\\.|\[|&&|\|\||~~|--", _harmless, inner, flags=re.DOTALL)
    return written[:start].replace("]", "\\]") + inner + "]"


def _posix(match: re.Match[str]) -> str:
    if match[1] or match[2] not in _POSIX:
        raise Uncomputable
    return _POSIX[match[2]]


def _harmless(match: re.Match[str]) -> str:
    """Doubled signs are set operations in a future `re`; a lone bracket draws the same warning."""
    text = match[0]
    if text == "[":
        return "\\["
    return text if text[0] == "\\" else "".join(f"\\{letter}" for letter in text)


def _hex_source(match: re.Match[str]) -> str:
    code = int(match[1] or match[2], 16)
    if code > 0x10FFFF:
        raise Uncomputable
    return re.escape(chr(code))
