"""Injected faults: the next calls that match answer with an error, late, broken, or not at all."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

KINDS = ("status", "delay", "timeout", "reset", "cut")
_MATCHES = ("method", "path", "model")


class FaultError(ValueError):
    """A fault that cannot be understood."""


@dataclass(slots=True)
class Fault:
    """One fault.

    `kind`: status (answer with `status`), delay (wait `seconds`, then answer), timeout (accept and never
    answer), reset (drop the connection unanswered), cut (break it off in the middle of the answer). `match`
    narrows it by HTTP `method`, `path` glob and `model` glob; it strikes `times` calls (None: all) with
    `probability`.
    """

    kind: str
    status: int = 503
    message: str = ""
    retry_seconds: float | None = None
    seconds: float = 1.0
    match: dict[str, str] = field(default_factory=dict)
    times: int | None = 1
    probability: float = 1.0
    struck: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The fault as JSON, with how often it struck."""
        return {name: getattr(self, name) for name in self.__slots__}


class Faults:
    """The faults now set, in the order they were added: the first that matches strikes."""

    def __init__(self, seed: int = 7) -> None:
        self._faults: list[Fault] = []
        self._random = random.Random(seed)

    def add(self, fields: dict[str, Any]) -> Fault:
        """Add a fault from its JSON; raises FaultError naming what is wrong."""
        fault = read_fault(fields)
        self._faults.append(fault)
        return fault

    def strike(self, *, method: str, path: str, model: str) -> Fault | None:
        """The fault that hits this call, or None."""
        seen = {"method": method, "path": path, "model": model}
        for fault in self._faults:
            spent = fault.times is not None and fault.struck >= fault.times
            if spent or not all(fnmatchcase(seen[name], pattern) for name, pattern in fault.match.items()):
                continue
            if self._random.random() < fault.probability:
                fault.struck += 1
                return fault
        return None

    def as_list(self) -> list[dict[str, Any]]:
        """All faults as JSON."""
        return [fault.as_dict() for fault in self._faults]

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()


def read_fault(fields: dict[str, Any]) -> Fault:
    """A fault from its JSON form."""
    allowed = set(Fault.__slots__) - {"struck"}
    unknown = set(fields) - allowed
    if unknown:
        raise FaultError(f"unknown field {min(unknown)!r} in a fault; known are {', '.join(sorted(allowed))}")
    if fields.get("kind") not in KINDS:
        raise FaultError(f"fault kind {fields.get('kind')!r} is not one of {', '.join(KINDS)}")
    match = fields.get("match") or {}
    strange = set(match) - set(_MATCHES)
    if strange:
        raise FaultError(f"a fault cannot match on {min(strange)!r}; it can on {', '.join(_MATCHES)}")
    status = fields.get("status", 503)
    if not isinstance(status, int) or not 400 <= status <= 599:
        raise FaultError(f"fault status {status!r} is not an HTTP error status")
    return Fault(**{**fields, "match": match})
