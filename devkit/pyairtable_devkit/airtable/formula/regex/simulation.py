"""All alternatives of a pattern followed at once (Thompson's construction, with Pike's captures).

Time is the length of the text times the size of the program, whatever the pattern. Which match wins is the same as in
backtracking: threads are kept in order of preference.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from pyairtable_devkit.airtable.formula.errors import Uncomputable
from pyairtable_devkit.airtable.formula.regex.syntax import (
    Alternatives,
    Assertion,
    Group,
    Node,
    One,
    Repeat,
    Sequence,
)

MAX_PROGRAM = 5_000
"""Instructions; counted repetitions of repetitions grow beyond any size otherwise."""

Captures: TypeAlias = tuple[int, ...]
"""Start and end of the whole and of each group, -1 where there is none."""


@dataclass(slots=True)
class Consume:
    """Goes on with the next instruction when the character fits."""

    fits: Callable[[str], bool]


@dataclass(slots=True)
class Check:
    """Goes on with the next instruction when the place fits."""

    holds: Callable[[str, int], bool]


@dataclass(slots=True)
class Save:
    """Notes the position in a slot of the captures."""

    slot: int


@dataclass(slots=True)
class Fork:
    """Goes on at several places, the earlier preferred."""

    targets: tuple[int, ...]


@dataclass(slots=True)
class Accept:
    """The end of the pattern."""


Instruction: TypeAlias = Consume | Check | Save | Fork | Accept
Program: TypeAlias = list[Instruction]


@dataclass(slots=True)
class _Threads:
    """Places in the program that are alive at one position of the text, in order of preference."""

    alive: list[tuple[int, Captures]]
    seen: set[int]


def compile_program(node: Node) -> Program:
    """The instructions for a pattern; Uncomputable when there would be too many."""
    program: Program = []
    _emit(Group(node, 0), program)
    program.append(Accept())
    return program


def _emit(node: Node, program: Program) -> None:
    if len(program) > MAX_PROGRAM:
        raise Uncomputable
    match node:
        case One(source):
            program.append(Consume(_char_test(source)))
        case Assertion(source):
            program.append(Check(_place_test(source)))
        case Group(body, index):
            _emit_group(body, index, program)
        case Sequence(parts):
            for part in parts:
                _emit(part, program)
        case Alternatives(branches):
            _emit_alternatives(branches, program)
        case Repeat():
            _emit_repeat(node, program)


def _emit_group(body: Node, index: int | None, program: Program) -> None:
    if index is None:
        return _emit(body, program)
    program.append(Save(index * 2))
    _emit(body, program)
    program.append(Save(index * 2 + 1))
    return None


def _emit_alternatives(branches: tuple[Node, ...], program: Program) -> None:
    fork = Fork(())
    program.append(fork)
    starts: list[int] = []
    ends: list[Fork] = []
    for branch in branches:
        starts.append(len(program))
        _emit(branch, program)
        ends.append(Fork(()))
        program.append(ends[-1])
    fork.targets = tuple(starts)
    for end in ends:
        end.targets = (len(program),)


def _emit_repeat(node: Repeat, program: Program) -> None:
    for _ in range(node.low):
        _emit(node.body, program)
    if node.high is None:
        loop = len(program)
        fork = Fork(())
        program.append(fork)
        _emit(node.body, program)
        program.append(Fork((loop,)))
        fork.targets = _preferred(loop + 1, len(program), node.greedy)
        return
    exits: list[tuple[Fork, int]] = []
    for _ in range(node.high - node.low):
        fork = Fork(())
        program.append(fork)
        exits.append((fork, len(program)))
        _emit(node.body, program)
    for fork, body in exits:
        fork.targets = _preferred(body, len(program), node.greedy)


def _preferred(body: int, after: int, greedy: bool) -> tuple[int, int]:
    return (body, after) if greedy else (after, body)


@lru_cache(maxsize=512)
def _char_test(source: str) -> Callable[[str], bool]:
    fullmatch = re.compile(source).fullmatch
    return lru_cache(maxsize=4096)(lambda letter: fullmatch(letter) is not None)


@lru_cache(maxsize=64)
def _place_test(source: str) -> Callable[[str, int], bool]:
    match = re.compile(source).match
    return lambda text, position: match(text, position) is not None


def search(program: Program, text: str, start: int, groups: int, charge: Callable[[int], None]) -> Captures | None:
    """The leftmost match from `start` on; `charge` is told of every step and may raise."""
    nothing: Captures = (-1,) * (2 * groups + 2)
    threads = _Threads([], set())
    found: Captures | None = None
    for position in range(start, len(text) + 1):
        if found is None:
            _follow(program, text, position, 0, nothing, threads)
        elif not threads.alive:
            break
        charge(len(threads.seen) + 1)
        letter = text[position : position + 1]
        following = _Threads([], set())
        for place, captures in threads.alive:
            instruction = program[place]
            if isinstance(instruction, Accept):
                found = captures
                break  # the rest are less preferred
            if letter and isinstance(instruction, Consume) and instruction.fits(letter):
                _follow(program, text, position + 1, place + 1, captures, following)
        threads = following
    return found


def _follow(program: Program, text: str, position: int, place: int, captures: Captures, threads: _Threads) -> None:
    """Adds what is reachable without a character; a stack of its own, since programs are longer than Python's."""
    pending = [(place, captures)]
    while pending:
        place, captures = pending.pop()
        if place in threads.seen:
            continue
        threads.seen.add(place)
        instruction = program[place]
        if isinstance(instruction, Fork):
            pending += [(target, captures) for target in reversed(instruction.targets)]
        elif isinstance(instruction, Save):
            slot = instruction.slot
            pending.append((place + 1, (*captures[:slot], position, *captures[slot + 1 :])))
        elif isinstance(instruction, Check):
            if instruction.holds(text, position):
                pending.append((place + 1, captures))
        else:
            threads.alive.append((place, captures))
