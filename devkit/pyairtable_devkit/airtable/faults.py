"""Faults that a test asks for, as rules: which call each one strikes, and how often."""

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, get_args
from typing import Literal as _Literal

Kind = _Literal[
    "status", "timeout_before", "timeout_after", "cut_body", "reset", "reset_after", "expired_cursor", "lost_webhook"
]
KINDS: tuple[str, ...] = get_args(Kind)
STATUSES = (429, 500, 502, 503)
_MATCHES = ("method", "path", "base", "table")


class FaultError(ValueError):
    """A fault that cannot be understood; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a fault can be matched with: a call, or the delivery of a webhook. `tables` are its id and name."""

    method: str
    path: str
    base: str | None
    tables: frozenset[str] = frozenset()
    is_webhook: bool = False


@dataclass(slots=True)
class Fault:
    """One fault. `times` counts down, None lasts until cleared; `probability` is per matching call."""

    id: int
    kind: Kind
    status: int = 503
    match: dict[str, str] = field(default_factory=dict)
    times: int | None = 1
    probability: float = 1.0
    seconds: float = 60.0
    retry_after: float | None = None
    struck: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The fault as the control side shows it."""
        return {name: getattr(self, name) for name in self.__slots__}

    def fits(self, target: Target) -> bool:
        """Whether this fault is for the target. `path` may hold shell-style wildcards."""
        wanted = self.match
        return (
            (self.kind == "lost_webhook") == target.is_webhook
            and wanted.get("method", target.method).upper() == target.method
            and fnmatchcase(target.path, wanted.get("path", "*"))
            and wanted.get("base", target.base) == target.base
            and ("table" not in wanted or wanted["table"] in target.tables)
        )


class Faults:
    """The faults in force, oldest first. The seed makes probabilities repeatable."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._next_id = 1
        self.active: list[Fault] = []

    def add(self, wanted: dict[str, Any]) -> Fault:
        """Puts a fault in force; FaultError when it makes no sense."""
        _check(wanted)
        fault = Fault(id=self._next_id, **wanted)
        self._next_id += 1
        self.active.append(fault)
        return fault

    def clear(self) -> None:
        """No more faults."""
        self.active.clear()

    def strike(self, target: Target) -> Fault | None:
        """The fault that hits this target, if one does; it is then used up by one."""
        for fault in self.active:
            if not fault.fits(target):
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            fault.struck += 1
            if fault.times is not None:
                fault.times -= 1
                if fault.times == 0:
                    self.active.remove(fault)
            return fault
        return None


def _check(wanted: dict[str, Any]) -> None:
    known = set(Fault.__slots__) - {"id", "struck"}
    if unknown := set(wanted) - known:
        raise FaultError(f"unknown: {', '.join(sorted(unknown))}; a fault has {', '.join(sorted(known))}")
    if wanted.get("kind") not in KINDS:
        raise FaultError(f"kind must be one of {', '.join(KINDS)}")
    if wanted.get("status", 503) not in STATUSES:
        raise FaultError(f"status must be one of {', '.join(map(str, STATUSES))}")
    match = wanted.get("match", {})
    if not isinstance(match, dict) or set(match) - set(_MATCHES):
        raise FaultError(f"match takes {', '.join(_MATCHES)}")
    if not all(isinstance(item, str) for item in match.values()):
        raise FaultError("what a match compares must be text")
    times = wanted.get("times", 1)
    if times is not None and (not isinstance(times, int) or isinstance(times, bool) or times < 1):
        raise FaultError("times must be a whole number from 1, or null for no end")
    for name, top in (("probability", 1.0), ("seconds", 86400.0), ("retry_after", 86400.0)):
        value = wanted.get(name, 0.0)
        if value is None and name == "retry_after":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= top:
            raise FaultError(f"{name} must be a number from 0 to {top:g}")
