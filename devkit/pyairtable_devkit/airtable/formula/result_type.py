"""The static guess at what a formula gives, shown in the schema as the type of the field's result."""

from collections.abc import Callable, Sequence

from pyairtable_devkit.airtable.formula.functions import FUNCTIONS
from pyairtable_devkit.airtable.formula.nodes import Call, Chain, FieldReference, Literal, Negate, Node
from pyairtable_devkit.airtable.formula.registry import ResultType


def result_type(root: Node, field_type: Callable[[str], ResultType]) -> ResultType:
    """The type of a formula; text when branches differ or nothing is known."""
    return _type(root, field_type) or "text"


def _type(node: Node, field_type: Callable[[str], ResultType]) -> ResultType | None:
    """None for a blank, which takes the type of its alternatives."""
    match node:
        case Literal(value):
            return "text" if isinstance(value, str) else "number"
        case FieldReference(name):
            return field_type(name)
        case Negate():
            return "number"
        case Chain(_, rest):
            return "text" if rest[0][0] == "&" else "number"
        case Call("BLANK" | "ERROR"):
            return None
        case Call(name, arguments):
            result = FUNCTIONS[name].result
            if result != "argument":
                return result
            return _common(_choices(name, arguments), field_type)


def _choices(name: str, arguments: Sequence[Node]) -> Sequence[Node]:
    """The arguments one of which becomes the result."""
    if name == "IF":
        return arguments[1:]
    if name == "SWITCH":
        default = arguments[-1:] if len(arguments) % 2 == 0 else ()
        return [*arguments[2::2], *default]
    return arguments


def _common(nodes: Sequence[Node], field_type: Callable[[str], ResultType]) -> ResultType | None:
    types = {found for node in nodes if (found := _type(node, field_type))}
    return types.pop() if len(types) == 1 else ("text" if types else None)
