"""What one mailbox remembers: settings, letters, faults, the log of deliveries, counters."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from pyairtable_devkit.mailbox.faults import Faults
from pyairtable_devkit.mailbox.letters import Letters

_LOG_ENTRIES = 1000


class SettingsError(ValueError):
    """A setting that does not exist or has a value that cannot be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one mailbox. With a `username` letters are taken only of who logs in with it and `password`."""

    username: str = ""
    password: str = ""

    def changed(self, changes: dict[str, Any]) -> Settings:
        """These settings with some replaced; SettingsError names the first one that is wrong."""
        known = {one.name for one in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise SettingsError(f"there is no setting {name!r}; there are: {', '.join(sorted(known))}")
            if not isinstance(value, str):
                raise SettingsError(f"{name} must be a text")
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON."""
        return asdict(self)


@dataclass(slots=True)
class Attempt:
    """One attempt to deliver a letter, or to connect, and what became of it."""

    seq: int
    time: float
    stage: str
    outcome: str
    sender: str
    recipients: list[str]
    message_id: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The attempt as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class State:
    """Everything behind one mailbox; `reset` brings it back to how it started."""

    def __init__(self, settings: Settings) -> None:
        self._first_settings = settings
        self.letters = Letters()
        self.reset()

    def reset(self) -> None:
        """Forget letters, log, counters, faults and changed settings."""
        self.settings = self._first_settings
        self.letters.clear()
        self.faults = Faults()
        self.log: deque[Attempt] = deque(maxlen=_LOG_ENTRIES)
        self.counters: Counter[str] = Counter()
        self._seq = 0

    def attempt(
        self, stage: str, outcome: str, *, sender: str = "", recipients: tuple[str, ...] = (), message_id: str = ""
    ) -> None:
        """Log and count an attempt. `outcome`: kept, repeated, or the kind of the fault that struck."""
        self._seq += 1
        self.log.append(Attempt(self._seq, time.time(), stage, outcome, sender, list(recipients), message_id))
        self.counters[outcome] += 1
