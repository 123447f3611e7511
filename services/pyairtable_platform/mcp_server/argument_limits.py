"""What no argument may hold, whatever its tool: values that cannot go on to the gateway or to Airtable. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pyairtable_platform.common.errors import FieldViolation, InvalidInput
from pyairtable_platform.common.rest.transcoding import MAX_JSON_DEPTH, deeper_than


def check_values(arguments: Mapping[str, Any]) -> None:
    """Raise InvalidInput that names each argument with a value too deep, too large or not text.

    REST and gRPC cannot bring all of these; MCP takes any JSON.
    """
    violations = [
        FieldViolation(name, problem) for name, value in arguments.items() if (problem := _problem(value)) is not None
    ]
    if violations:
        text = "; ".join(f"{item.field}: {item.description}" for item in violations[:5])
        raise InvalidInput(text, violations=violations)


def _problem(value: Any) -> str | None:
    if deeper_than(value, MAX_JSON_DEPTH):
        return f"is nested deeper than {MAX_JSON_DEPTH} levels"
    return next((problem for leaf in _leaves(value) if (problem := _problem_of_leaf(leaf)) is not None), None)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _problem_of_leaf(value: Any) -> str | None:
    if isinstance(value, str) and not _is_unicode(value):
        return "holds text that is not valid Unicode (half of a surrogate pair)"
    if isinstance(value, int | float) and not _is_finite(value):
        return "holds a number outside the range of a double (about 1.8e308)"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number without a double
        return False
