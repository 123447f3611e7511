"""What arrived: a ring of log entries and counters by base, token and endpoint."""

from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Any


@dataclass(slots=True)
class Entry:
    """One call. `arrived` is the machine's monotonic clock, comparable between processes."""

    number: int
    arrived: float
    method: str
    path: str
    endpoint: str = ""
    base: str | None = None
    table: str | None = None
    token: str | None = None
    status: int | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    refused: str | None = None
    fault: str | None = None
    seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The entry as the control side shows it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class _Peak:
    """The most calls ever seen in one sliding second."""

    recent: deque[float] = field(default_factory=deque)
    highest: int = 0

    def add(self, now: float) -> None:
        self.recent.append(now)
        while now - self.recent[0] >= 1.0:
            self.recent.popleft()
        self.highest = max(self.highest, len(self.recent))


class Traffic:
    """The log of calls and what can be counted from it."""

    def __init__(self, entries: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=entries)
        self._number = 0
        self._accepted: dict[str, Counter[str]] = {"bases": Counter(), "tokens": Counter(), "endpoints": Counter()}
        self._refused: dict[str, Counter[str]] = {"bases": Counter(), "tokens": Counter(), "endpoints": Counter()}
        self._statuses: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._arrived: dict[str, _Peak] = {}
        self._let_in: dict[str, _Peak] = {}

    def keep(self, entries: int) -> None:
        """Lets the log hold this many entries from now on."""
        self._entries = deque(self._entries, maxlen=entries)

    def arrive(self, now: float, method: str, path: str) -> Entry:
        """Writes down a call the moment it is there."""
        self._number += 1
        entry = Entry(self._number, now, method, path)
        self._entries.append(entry)
        return entry

    def decide(self, entry: Entry, refused: str | None) -> None:
        """Counts the call as let in or, with a reason, as refused by a limit."""
        entry.refused = refused
        counters = self._accepted if refused is None else self._refused
        counters["endpoints"][entry.endpoint] += 1
        counters["tokens"][entry.token or ""] += 1
        if entry.base is not None:
            counters["bases"][entry.base] += 1
            self._arrived.setdefault(entry.base, _Peak()).add(entry.arrived)
            if refused is None:
                self._let_in.setdefault(entry.base, _Peak()).add(entry.arrived)

    def finish(self, entry: Entry, now: float, status: int | None, size: int) -> None:
        """Completes the entry; status None means that no answer was given."""
        entry.status, entry.response_bytes, entry.seconds = status, size, now - entry.arrived
        self._statuses[str(status) if status is not None else "none"] += 1
        if entry.fault is not None:
            self._faults[entry.fault] += 1

    def counters(self) -> dict[str, Any]:
        """All counters as JSON."""
        return {
            "arrived": self._number,
            "accepted": self._accepted["endpoints"].total(),
            "refused": self._refused["endpoints"].total(),
            "statuses": dict(self._statuses),
            "faults": dict(self._faults),
            "bases": self._by("bases", peaks=True),
            "tokens": self._by("tokens"),
            "endpoints": self._by("endpoints"),
        }

    def log(self, since: int, limit: int | None) -> list[dict[str, Any]]:
        """Entries after the one numbered `since`, oldest first."""
        found = (entry.as_dict() for entry in self._entries if entry.number > since)
        return list(found if limit is None else islice(found, limit))

    def _by(self, kind: str, *, peaks: bool = False) -> dict[str, dict[str, int]]:
        names = sorted({*self._accepted[kind], *self._refused[kind]})
        result = {
            name: {"accepted": self._accepted[kind][name], "refused": self._refused[kind][name]} for name in names
        }
        if peaks:
            for name, counts in result.items():
                counts["peak_arrived_per_second"] = self._arrived[name].highest
                counts["peak_accepted_per_second"] = self._let_in[name].highest if name in self._let_in else 0
        return result
