"""What processes cost: CPU seconds by the kernel's account (/proc), which other work on the machine does not change."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from benchmarks.system import System


@dataclass
class Spent:
    """CPU seconds by process and the time on the clock, from the begin of a block to its end."""

    by_process: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def milliseconds_each(self, number: int, *names: str) -> float:
        """CPU milliseconds of these processes (all when none is named) for one of `number` calls."""
        chosen = names or tuple(self.by_process)
        return round(sum(self.by_process.get(name, 0.0) for name in chosen) * 1000 / max(1, number), 3)


@contextmanager
def spent(system: System) -> Iterator[Spent]:
    """Fill what it yields when the block ends. `here` is the process that measures."""
    found = Spent()
    before, began = used(system), time.perf_counter()
    yield found
    found.seconds = time.perf_counter() - began
    found.by_process = difference(before, used(system))


def difference(before: Mapping[int, tuple[str, float]], after: Mapping[int, tuple[str, float]]) -> dict[str, float]:
    """CPU seconds by name between two looks. A process that ended meanwhile (a database connection) counts as idle."""
    found: dict[str, float] = {}
    for pid, (name, seconds) in after.items():
        found[name] = found.get(name, 0.0) + seconds - before.get(pid, (name, 0.0))[1]
    return found


def used(system: System) -> dict[int, tuple[str, float]]:
    """CPU seconds of every process of the system by pid, and of this one."""
    found = {0: ("here", time.process_time())}
    for process in psutil.Process(system.command.process.pid).children(recursive=True):
        try:
            times = process.cpu_times()
            found[process.pid] = (process_name(process.cmdline()), times.user + times.system)
        except psutil.NoSuchProcess:
            continue
    return found


def process_name(command: list[str]) -> str:
    """A name for people: the service, the emulator or the database."""
    text = " ".join(command)
    if "pyairtable-platform" in text:
        return command[-1]
    if "pyairtable-devkit" in text:
        names = {f"{kind} --": f"{kind} emulator" for kind in ("airtable", "gemini", "mailbox")}
        return next((name for part, name in names.items() if part in text), "devkit")
    return "valkey" if "valkey" in text or "redis" in text else "postgres" if "postgres" in text else "other"


def load_average() -> float:
    """How many tasks wanted a CPU in the last minute: a figure from a busy machine says so."""
    return float(Path("/proc/loadavg").read_text().split()[0])
