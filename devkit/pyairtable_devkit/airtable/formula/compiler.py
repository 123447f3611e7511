"""Tree to closures: a formula is compiled once for a table and then called for each record."""

import datetime
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from pyairtable_devkit.airtable.formula.comparison import ORDERINGS, equal, ordered
from pyairtable_devkit.airtable.formula.context import FREE, Context, Evaluate
from pyairtable_devkit.airtable.formula.dates import to_date
from pyairtable_devkit.airtable.formula.errors import Uncomputable, UnknownFieldNames
from pyairtable_devkit.airtable.formula.functions import FUNCTIONS
from pyairtable_devkit.airtable.formula.functions.numbers import add, divide, multiply, subtract
from pyairtable_devkit.airtable.formula.nodes import Call, Chain, FieldReference, Literal, Negate, Node
from pyairtable_devkit.airtable.formula.parser import Expression
from pyairtable_devkit.airtable.formula.registry import Kind, ResultType
from pyairtable_devkit.airtable.formula.result_type import result_type
from pyairtable_devkit.airtable.formula.values import (
    ERROR,
    FormulaErrorValue,
    Internal,
    Row,
    Value,
    check_size,
    plain,
    to_number,
    to_text,
)

Operation: TypeAlias = Callable[[Internal, Internal], Internal]
Counted = TypeVar("Counted", bound=Internal)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A formula bound to the fields of a table; call it with a record and the time."""

    evaluate: Evaluate
    keys: frozenset[Hashable]
    """The fields it depends on."""
    result_type: ResultType
    """What it gives, as far as the text alone tells."""

    def __call__(self, row: Row, now: datetime.datetime) -> Value:
        """The value for one record; FormulaErrorValue when it cannot be computed."""
        try:
            return plain(self.evaluate(Context(row, now)))
        except Uncomputable:
            return ERROR


def compile_formula(
    expression: Expression,
    resolve: Callable[[str], Hashable | None],
    type_of: Callable[[Hashable], ResultType] = lambda key: "text",
) -> Compiled:
    """Bind a formula to a table.

    `resolve` gives the key of a field name or id, None when there is none (then UnknownFieldNames is raised with
    all of them); `type_of` tells the type of a field, to guess the type of formulas that pass one on.
    """
    found = {name: resolve(name) for name in expression.field_names()}
    if unknown := [name for name, key in found.items() if key is None]:
        raise UnknownFieldNames(unknown)
    keys: dict[str, Hashable] = dict(found)
    return Compiled(
        evaluate=_Compiler(keys).compile(expression.root),
        keys=frozenset(keys.values()),
        result_type=result_type(expression.root, lambda name: type_of(keys[name])),
    )


class _Compiler:
    def __init__(self, keys: dict[str, Hashable]) -> None:
        self._keys = keys

    def compile(self, node: Node) -> Evaluate:
        match node:
            case Literal(value):
                return lambda context: value
            case FieldReference(name):
                return _field(self._keys[name])
            case Negate(operand):
                number = self.compile(operand)
                return lambda context: -to_number(number(context))
            case Chain(first, rest):
                return self._chain(first, rest)
            case Call():
                return self._call(node)

    def _chain(self, first: Node, rest: tuple[tuple[str, Node], ...]) -> Evaluate:
        if rest[0][0] == "&":
            return _joined([self.compile(first), *(self.compile(operand) for _, operand in rest)])
        start = self.compile(first)
        steps = [(OPERATIONS[operator], self.compile(operand)) for operator, operand in rest]
        if len(steps) == 1:
            [(operation, operand)] = steps
            if isinstance(rest[0][1], Literal):
                constant = rest[0][1].value
                return lambda context: operation(start(context), constant)
            return lambda context: operation(start(context), operand(context))

        def fold(context: Context) -> Internal:
            value = start(context)
            for operation, operand in steps:
                value = operation(value, operand(context))
            return value

        return fold

    def _call(self, node: Call) -> Evaluate:
        function = FUNCTIONS[node.function]
        kinds = function.argument_kinds(len(node.arguments))
        readers = [self._reader(kind, argument) for kind, argument in zip(kinds, node.arguments, strict=True)]
        return _called(function.implementation, readers, function.needs_context)

    def _reader(self, kind: Kind, argument: Node) -> "Reader":
        """Evaluates an argument and makes it what the function's parameter wants."""
        if kind == "field" and isinstance(argument, FieldReference):
            key = self._keys[argument.name]
            return lambda context: key
        value = self.compile(argument)
        match kind:
            case "lazy":
                return lambda context: value
            case "number":
                return lambda context: to_number(value(context))
            case "date":
                return lambda context: to_date(value(context))
            case "text":
                return lambda context: _counted(context, to_text(value(context)))
            case _:
                return _any_reader(value)


Reader: TypeAlias = Callable[[Context], object]


def _called(run: Callable[..., Internal], readers: list[Reader], needs_context: bool) -> Evaluate:
    # One closure for each common shape: unpacking a list costs as much as a small function does.
    if needs_context:
        return lambda context: run(context, *[read(context) for read in readers])
    if len(readers) == 1:
        [only] = readers
        return lambda context: run(only(context))
    if len(readers) == 2:
        first, second = readers
        return lambda context: run(first(context), second(context))
    return lambda context: run(*[read(context) for read in readers])


def _any_reader(evaluate: Evaluate) -> Reader:
    def read(context: Context) -> Internal:
        value = evaluate(context)
        return value if type(value) is int else _counted(context, value)

    return read


def _field(key: Hashable) -> Evaluate:
    def read(context: Context) -> Internal:
        value = context.row.value(key)
        if type(value) is FormulaErrorValue:
            raise Uncomputable
        return value

    return read


def _joined(parts: list[Evaluate]) -> Evaluate:
    def join(context: Context) -> Internal:
        texts = [_counted(context, to_text(part(context))) for part in parts]
        check_size(sum(map(len, texts)))
        return "".join(texts)

    return join


def _counted(context: Context, value: Counted) -> Counted:
    if isinstance(value, str | list) and len(value) > FREE:
        context.charge(len(value))
    return value


def _equality(left: Internal, right: Internal) -> int:
    # Nearly all filters compare text with text or number with number; the rest needs the long rules.
    kind = type(left)
    if kind is type(right) and (kind is str or kind is float):
        return 1 if left == right else 0
    return 1 if equal(left, right) else 0


def _inequality(left: Internal, right: Internal) -> int:
    return 1 - _equality(left, right)


def _ordering(sign: str) -> Operation:
    compare = ORDERINGS[sign]

    def run(left: Internal, right: Internal) -> int:
        kind = type(right)
        if kind is float and (type(left) is float or type(left) is int):
            return 1 if compare(left, right) else 0
        return 1 if ordered(compare, left, right) else 0

    return run


OPERATIONS: dict[str, Operation] = {
    "=": _equality,
    "!=": _inequality,
    **{sign: _ordering(sign) for sign in ORDERINGS},
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
}
