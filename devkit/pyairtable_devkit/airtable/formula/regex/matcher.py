"""Finds matches with `re` where that is safe, otherwise by simulation."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from pyairtable_devkit.airtable.formula.context import Context
from pyairtable_devkit.airtable.formula.regex.cost import worst_case
from pyairtable_devkit.airtable.formula.regex.simulation import Captures, Program, compile_program, search
from pyairtable_devkit.airtable.formula.regex.syntax import parse, python_source

BACKTRACKING_STEPS_PER_UNIT = 8
SIMULATION_UNITS_PER_STEP = 20
UNITS_PER_CHARACTER = 100
UNITS_PER_INSTRUCTION = 50
"""What preparing a pattern and the steps of the two engines cost in the evaluation's budget (measured, rounded up)."""
SHARE = 4
"""One search with `re` may use this part of the remaining budget; it is charged for its worst case."""

Search = Callable[[int], "Captures | None"]


@dataclass(frozen=True, slots=True)
class Match:
    """Where a pattern and its groups were found."""

    text: str
    captures: Captures

    @property
    def start(self) -> int:
        return self.captures[0]

    @property
    def end(self) -> int:
        return self.captures[1]

    def group(self, number: int) -> str | None:
        """The text of a group (0 is the whole), empty when it took no part; None when there is no such group."""
        if 2 * number + 1 >= len(self.captures):
            return None
        start, end = self.captures[2 * number : 2 * number + 2]
        return self.text[start:end] if end >= 0 else ""


def find_first(context: Context, pattern: str, text: str) -> Match | None:
    """The leftmost match, None when there is none."""
    return next(find_all(context, pattern, text), None)


def find_all(context: Context, pattern: str, text: str) -> Iterator[Match]:
    """Matches from left to right without overlap; an empty one directly after another is left out, as in RE2."""
    find = _engine(context, pattern, text)
    position, last_end = 0, -1
    while position <= len(text) and (captures := find(position)) is not None:
        start, end = captures[:2]
        if end > start or start != last_end:
            yield Match(text, captures)
        last_end = end
        position = end if end > start else end + 1


def _engine(context: Context, pattern: str, text: str) -> Search:
    context.charge(len(pattern) * UNITS_PER_CHARACTER)
    units = worst_case(parse(pattern), len(text)) / BACKTRACKING_STEPS_PER_UNIT
    if units <= context.budget / SHARE:
        context.charge(int(units))
        compiled = _python(pattern)
        return lambda position: _captures(compiled.search(text, position))
    program, groups = _program(pattern), _python(pattern).groups
    context.charge(len(program) * UNITS_PER_INSTRUCTION)
    return lambda position: search(
        program, text, position, groups, lambda steps: context.charge(steps * SIMULATION_UNITS_PER_STEP)
    )


def _captures(match: re.Match[str] | None) -> Captures | None:
    if match is None:
        return None
    return tuple(edge for group in range(match.re.groups + 1) for edge in match.span(group))


@lru_cache(maxsize=256)
def _python(pattern: str) -> re.Pattern[str]:
    return re.compile(python_source(parse(pattern)))


@lru_cache(maxsize=64)
def _program(pattern: str) -> Program:
    return compile_program(parse(pattern))
