"""What one emulator remembers: settings, script, faults, the log of requests, counters."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from pyairtable_devkit.gemini.faults import Faults
from pyairtable_devkit.gemini.script import Script
from pyairtable_devkit.gemini.settings import Settings
from pyairtable_devkit.gemini.tokens import PrefixCache

_LOG_ENTRIES = 1000
_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(slots=True)
class Entry:
    """One request seen; the key itself is never kept, only whether it was right."""

    seq: int
    time: float
    method: str
    path: str
    key: str
    version: str = ""
    model: str = ""
    call: str = ""
    body: Any = None
    status: int = 0
    source: str = ""
    finish: str = ""
    text: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)
    completed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The entry as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class State:
    """Everything behind one emulator; `reset` brings it back to how it started."""

    def __init__(self, settings: Settings, script: Script) -> None:
        self._first_settings = settings
        self._first_script = script
        self.reset()

    def reset(self) -> None:
        """Forget log, counters, faults and changed settings; start the first script anew."""
        self.settings = self._first_settings
        self.script = Script([turn.fresh() for turn in self._first_script.turns], self._first_script.otherwise)
        self.faults = Faults()
        self.cache = PrefixCache()
        self.log: deque[Entry] = deque(maxlen=_LOG_ENTRIES)
        self.counters: dict[str, Counter[str]] = {
            name: Counter() for name in ("calls", "models", "statuses", "sources", "tokens")
        }
        self._seq = 0
        self._recent: dict[str, deque[float]] = {}
        self._random = random.Random(1)

    def arrived(self, method: str, path: str, key: str) -> Entry:
        """Log a request; the caller fills in what becomes of it."""
        self._seq += 1
        entry = Entry(self._seq, time.monotonic(), method, path, key)
        self.log.append(entry)
        return entry

    def count(self, entry: Entry) -> None:
        """Add a finished request to the counters."""
        self.counters["calls"][entry.call] += 1
        self.counters["models"][entry.model] += 1
        self.counters["statuses"][str(entry.status)] += 1
        self.counters["sources"][entry.source] += 1
        self.counters["tokens"].update(entry.usage)

    def over_quota(self, model: str) -> float | None:
        """Seconds to wait when the model's requests of the last minute are used up, else None (and use one)."""
        limit = self.settings.requests_per_minute
        if limit is None:
            return None
        now, recent = time.monotonic(), self._recent.setdefault(model, deque())
        while recent and now - recent[0] >= 60:
            recent.popleft()
        if len(recent) >= limit:
            return 60 - (now - recent[0])
        recent.append(now)
        return None

    def new_id(self, length: int = 8) -> str:
        """An id for a call or a response; the same sequence after every reset."""
        return "".join(self._random.choices(_ID_ALPHABET, k=length))
