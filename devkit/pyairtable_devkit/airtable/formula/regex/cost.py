"""How many steps a backtracking matcher can need, from the shape of the pattern alone."""

import math

from pyairtable_devkit.airtable.formula.regex.syntax import Alternatives, Assertion, Group, Node, One, Repeat, Sequence

GROUP_LOOP = 16
"""A step of a loop around a group costs `re` this much more than one around a single character (measured)."""


def worst_case(node: Node, length: int) -> float:
    """An upper bound on the steps of `re` for a text of this length: every start, every way to choose."""
    return (length + 1) * _ways(node, length) * (GROUP_LOOP if _loops_around_groups(node) else 1)


def _loops_around_groups(node: Node) -> bool:
    match node:
        case One() | Assertion():
            return False
        case Group(body, _):
            return _loops_around_groups(body)
        case Sequence(parts) | Alternatives(parts):
            return any(map(_loops_around_groups, parts))
        case Repeat(body):
            return not isinstance(body, One)


def _ways(node: Node, length: int) -> float:
    """In how many ways the node can match from one place."""
    match node:
        case One() | Assertion():
            return 1
        case Group(body, _):
            return _ways(body, length)
        case Sequence(parts):
            return _bounded(math.prod(_ways(part, length) for part in parts))
        case Alternatives(branches):
            return _bounded(sum(_ways(branch, length) for branch in branches))
        case Repeat(body, low, high, _):
            most = low + length + 1 if high is None else high
            counts = most - low + 1  # each number of repetitions is a way of its own
            return _bounded(counts * _power(_ways(body, length), most))


def _bounded(ways: float) -> float:
    return min(ways, 1e300)


def _power(base: float, exponent: int) -> float:
    return 1e300 if exponent * math.log10(base) > 300 else float(base**exponent)
