"""Starts parts, each as soon as those it needs are ready, and stops them in the reverse of the order they are given.

    with stop_signals(), Stack(parts, report=print) as stack:  # stops what it started, whatever happens inside
        stack.start()
        stack.wait()                                           # until Ctrl-C, SIGTERM or a part that ends

Nothing survives: the parts die with this process even when it is killed (see processes.py).
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import FrameType, TracebackType
from typing import Self

from pyairtable_devkit.parts import DatabasePart, Part, PartFailedError, check_ports

START_SECONDS = 300.0  # generous: a busy machine takes minutes to import the SDKs
_POLL_SECONDS = 0.05
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stage(StrEnum):
    """Where a part stands."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


@dataclass(frozen=True)
class Progress:
    """A part has reached a stage, so many seconds after it was started."""

    part: Part
    stage: Stage
    seconds: float = 0.0


class StopRequestedError(Exception):
    """Somebody wants us to end: Ctrl-C, SIGTERM, or the terminal was closed."""


class Stack:
    """Parts that live together; each may only need parts that stand before it. For the main thread only."""

    def __init__(self, parts: Sequence[Part], *, report: Callable[[Progress], None]) -> None:
        self._parts = list(parts)
        self._report = report
        self._started: list[Part] = []
        for number, part in enumerate(parts):
            if unknown := set(part.after) - {earlier.name for earlier in parts[:number]}:
                raise ValueError(f"{part.name} needs parts that do not stand before it: {sorted(unknown)}")

    def start(self) -> None:
        """Bring every part up; raises PartFailedError or PortTakenError."""
        for part in self._parts:
            check_ports(part)
        waiting, starting, ready = list(self._parts), dict[str, float](), set[str]()
        while len(ready) < len(self._parts):
            # Databases last: a start of theirs is waited for, and what imports meanwhile has a core of its own.
            startable = [part for part in waiting if ready.issuperset(part.after)]
            for part in sorted(startable, key=lambda part: isinstance(part, DatabasePart)):
                waiting.remove(part)
                starting[part.name] = time.monotonic()
                self._begin(part)
            for part in [part for part in self._started if part.name in starting]:
                if self._is_settled(part, time.monotonic() - starting[part.name]):
                    ready.add(part.name)
                    del starting[part.name]
            time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Raise PartFailedError if a part has ended by itself."""
        for part in self._started:
            if failure := part.failure():
                raise PartFailedError(failure)

    def wait(self) -> None:
        """Never return: raises PartFailedError, and StopRequestedError within stop_signals()."""
        while True:
            self.check()
            time.sleep(0.5)

    def stop(self) -> None:
        """Stop all parts, the last of the list first (the door before the house, whichever was up sooner).

        A Ctrl-C meanwhile kills the rest at once.
        """
        with _signals_call(self._kill_all):
            while self._started:
                part = max(self._started, key=self._parts.index)
                self._report(Progress(part, Stage.STOPPING))
                part.stop()
                self._started.remove(part)

    def kill(self) -> None:
        """End all parts by kill -9, without a word to any of them."""
        self._kill_all()
        self.stop()  # waits for their ends and lets go of what they held

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _begin(self, part: Part) -> None:
        self._started.append(part)
        self._report(Progress(part, Stage.STARTING))
        part.start()

    def _is_settled(self, part: Part, seconds: float) -> bool:
        """Return whether the part is ready now; raises when it never will be."""
        if failure := part.failure():
            raise PartFailedError(failure)
        if part.is_ready():
            self._report(Progress(part, Stage.READY, seconds))
            return True
        if seconds > START_SECONDS:
            raise PartFailedError(f"{part.name} was not ready within {START_SECONDS:.0f} s; see its log")
        return False

    def _kill_all(self, *_: object) -> None:
        """Kill what still runs; a stop() that a signal interrupts then finds it ended and goes on."""
        for part in self._started:
            if pid := part.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into StopRequestedError inside the block."""

    def request(number: int, frame: FrameType | None) -> None:
        raise StopRequestedError(signal.Signals(number).name)

    with _signals_call(request):
        yield


@contextlib.contextmanager
def _signals_call(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have the stop signals call handler. A hang-up that is ignored (nohup) stays ignored.

    Not so an interrupt: scripts start what runs in the background with it ignored, and could then not stop it by one.
    """
    before = {number: signal.getsignal(number) for number in _STOP_SIGNALS}
    ignored = before[signal.SIGHUP] is signal.SIG_IGN
    mine = [number for number in _STOP_SIGNALS if not (ignored and number == signal.SIGHUP)]
    try:
        for number in mine:
            signal.signal(number, handler)
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number])
