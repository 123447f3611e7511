"""Injected faults: the next deliveries that match are refused, kept waiting, cut off, or lose their answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

KINDS = ("refuse", "hang", "drop", "lose_answer")
STAGES = ("connect", "mail", "rcpt", "data")
_MATCHES = ("from", "to")


class FaultError(ValueError):
    """A fault that cannot be understood."""


@dataclass(slots=True)
class Fault:
    """One fault.

    `kind`: refuse (answer with `status`, an SMTP code of 4xx or 5xx), hang (no answer for `seconds`, then as if nothing
    had been), drop (end the connection), lose_answer (keep the letter, then end the connection: the sender cannot
    know). `stage`: connect, mail, rcpt or data. `match` narrows it by glob of the addresses `from` (stage mail and
    later) and `to` (rcpt and later). It strikes `times` times (None: always).
    """

    kind: str
    stage: str = "data"
    status: int = 451
    message: str = "refused by a fault of the mailbox"
    seconds: float = 3600.0
    match: dict[str, str] = field(default_factory=dict)
    times: int | None = 1
    struck: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The fault as JSON, with how often it struck."""
        return {name: getattr(self, name) for name in self.__slots__}


class Faults:
    """The faults now set, in the order they were added: the first that matches strikes."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fields: dict[str, Any]) -> Fault:
        """Add a fault from its JSON; raises FaultError naming what is wrong."""
        fault = read_fault(fields)
        self._faults.append(fault)
        return fault

    def strike(self, stage: str, *, sender: str = "", recipients: tuple[str, ...] = ()) -> Fault | None:
        """The fault that hits this stage of a delivery, or None."""
        for fault in self._faults:
            spent = fault.times is not None and fault.struck >= fault.times
            if spent or fault.stage != stage or not matches(fault, sender, recipients):
                continue
            fault.struck += 1
            return fault
        return None

    def as_list(self) -> list[dict[str, Any]]:
        """All faults as JSON."""
        return [fault.as_dict() for fault in self._faults]

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()


def matches(fault: Fault, sender: str, recipients: tuple[str, ...]) -> bool:
    """Whether a delivery is one that the fault is meant for."""
    to = fault.match.get("to")
    return fnmatchcase(sender, fault.match.get("from", "*")) and (
        to is None or any(fnmatchcase(one, to) for one in recipients)
    )


def read_fault(fields: dict[str, Any]) -> Fault:
    """A fault from its JSON form."""
    allowed = set(Fault.__slots__) - {"struck"}
    if unknown := set(fields) - allowed:
        raise FaultError(f"unknown field {min(unknown)!r} in a fault; known are {', '.join(sorted(allowed))}")
    for name, known in (("kind", KINDS), ("stage", STAGES)):
        if fields.get(name, "data" if name == "stage" else None) not in known:
            raise FaultError(f"fault {name} {fields.get(name)!r} is not one of {', '.join(known)}")
    match = fields.get("match", {})
    if strange := set(match) - set(_MATCHES):
        raise FaultError(f"a fault cannot match on {min(strange)!r}; it can on {', '.join(_MATCHES)}")
    fault = Fault(**{**fields, "match": match})
    if fault.status not in range(400, 600):
        raise FaultError(f"fault status {fault.status!r} is no SMTP refusal (400 to 599)")
    if fault.kind == "lose_answer" and fault.stage != "data":
        raise FaultError("an answer can be lost at the stage data only")
    return fault
