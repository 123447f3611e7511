"""The parsed formula: a tree of five kinds of node.

Operators of one precedence that follow each other are one flat `Chain`, so that a thousand `&` make a long node
and not a tree a thousand levels deep.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | float


@dataclass(frozen=True, slots=True)
class FieldReference:
    name: str
    """Field name or id as written, without braces and escapes."""


@dataclass(frozen=True, slots=True)
class Negate:
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Chain:
    first: "Node"
    rest: tuple[tuple[str, "Node"], ...]
    """Operators with their right operands, applied from left to right; all of one precedence."""


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    """Name in capitals."""
    arguments: tuple["Node", ...]


Node: TypeAlias = Literal | FieldReference | Negate | Chain | Call
