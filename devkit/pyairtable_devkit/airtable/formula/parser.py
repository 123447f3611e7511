"""Tokens to tree: precedence climbing, with limits so that no text can exhaust the stack."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from pyairtable_devkit.airtable.formula.errors import FormulaError
from pyairtable_devkit.airtable.formula.functions import FUNCTIONS
from pyairtable_devkit.airtable.formula.nodes import Call, Chain, FieldReference, Literal, Negate, Node
from pyairtable_devkit.airtable.formula.tokens import Token, braced, tokenize

MAX_LENGTH = 65_536
"""Characters of a formula. Airtable documents no figure; filters in a URL end near 16,000."""
MAX_REMEMBERED = 4_096
"""Longer formulas (lists of record ids, mostly) come once, and their trees take megabytes."""
MAX_DEPTH = 150
"""Levels of nesting. Each costs up to six Python frames in parser and evaluator; the interpreter has 1,000."""

_PRECEDENCE = {
    **dict.fromkeys(("=", "!=", "<", "<=", ">", ">="), 1),
    "&": 2,
    **dict.fromkeys("+-", 3),
    **dict.fromkeys("*/", 4),
}


@dataclass(frozen=True, slots=True)
class Reference:
    """Where in the text a field is named."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed formula; immutable and shared between callers."""

    text: str
    root: Node
    references: tuple[Reference, ...]

    def field_names(self) -> list[str]:
        """Names or ids of fields as written, in order of appearance, each once."""
        return list(dict.fromkeys(reference.name for reference in self.references))


def parse(text: str) -> Expression:
    """Parse a formula; raises FormulaError when the text is not one (also for unknown functions and wrong arity)."""
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"longer than {MAX_LENGTH} characters")
    return _remembered(text) if len(text) <= MAX_REMEMBERED else _parse(text)


@lru_cache(maxsize=512)
def _remembered(text: str) -> Expression:
    return _parse(text)


def _parse(text: str) -> Expression:
    parser = _Parser(tokenize(text))
    root = parser.whole()
    return Expression(text, root, tuple(parser.references))


def render_formula(expression: Expression, rename: Callable[[str], str]) -> str:
    """The same text with every field reference renamed, e.g. names to ids as the schema shows them."""
    parts: list[str] = []
    position = 0
    for reference in expression.references:
        parts += expression.text[position : reference.start], braced(rename(reference.name))
        position = reference.end
    parts.append(expression.text[position:])
    return "".join(parts)


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._index = 0
        self._depth = 0
        self.references: list[Reference] = []

    def whole(self) -> Node:
        root = self._expression(1)
        if self._current.kind != "end":
            raise self._unexpected()
        return root

    @property
    def _current(self) -> Token:
        return self._tokens[self._index]

    def _take(self) -> Token:
        token = self._tokens[self._index]
        self._index += 1
        return token

    def _expression(self, lowest: int) -> Node:
        """Operators of precedence `lowest` and tighter."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FormulaError(f"nested deeper than {MAX_DEPTH} levels")
        left = self._operand()
        while (level := self._level()) >= lowest:
            left = Chain(left, self._chain(level))
        self._depth -= 1
        return left

    def _chain(self, level: int) -> tuple[tuple[str, Node], ...]:
        rest: list[tuple[str, Node]] = []
        while self._level() == level:
            operator = self._take().text
            rest.append((operator, self._expression(level + 1)))
        return tuple(rest)

    def _level(self) -> int:
        token = self._current
        return _PRECEDENCE[token.text] if token.kind == "operator" else 0

    def _operand(self) -> Node:
        token = self._take()
        match token.kind:
            case "number":
                return Literal(float(token.text))
            case "text":
                return Literal(token.text)
            case "braces":
                return self._reference(token)
            case "name":
                return self._call(token) if self._current.text == "(" else self._reference(token)
            case "operator" if token.text == "-":
                # Tighter than every binary operator: a level above the tightest of the table.
                return Negate(self._expression(5))
            case "punctuation" if token.text == "(":
                inner = self._expression(1)
                self._expect(")")
                return inner
        self._index -= 1
        raise self._unexpected()

    def _reference(self, token: Token) -> FieldReference:
        if not token.text:
            raise FormulaError("a field reference without a name: {}")
        self.references.append(Reference(token.text, token.start, token.end))
        return FieldReference(token.text)

    def _call(self, token: Token) -> Call:
        function = FUNCTIONS.get(token.text.upper())
        if function is None:
            raise FormulaError(f"unknown function {token.text}")
        self._expect("(")
        arguments: list[Node] = []
        if self._current.text != ")" or self._current.kind != "punctuation":
            arguments.append(self._expression(1))
            while self._current.kind == "punctuation" and self._current.text == ",":
                self._take()
                arguments.append(self._expression(1))
        self._expect(")")
        function.check_arguments(arguments)
        return Call(function.name, tuple(arguments))

    def _expect(self, punctuation: str) -> None:
        if self._current.kind != "punctuation" or self._current.text != punctuation:
            raise self._unexpected()
        self._take()

    def _unexpected(self) -> FormulaError:
        token = self._current
        if token.kind == "end":
            return FormulaError("the text ends too early")
        return FormulaError(f"unexpected {token.text!r} at character {token.start + 1}")
