"""Killing a saga service before its Nth send, with strace: no change of its code, the same point every time.

Counts of `inject` are per thread (strace 6.1), so one thread is attached to alone: the one that makes all calls to
receivers and to the journal. `EVERY` attaches to all threads, DBOS's too: then whichever gets to N first is the point.
"""

from __future__ import annotations

import enum
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SENDS = "sendto,sendmsg"


class Threads(enum.Enum):
    """Whose sends are counted."""

    MAIN = ()
    EVERY = ("-f",)


@contextmanager
def killed_before_send(pid: int, number: int, threads: Threads, log: Path) -> Iterator[None]:
    """Kill the process with SIGKILL before its `number`th send from now on, of either kind."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail("the kill harness needs strace: scripts/install-strace.sh")
    inject = f"inject={SENDS}:signal=KILL:when={number}"
    command = [strace, *threads.value, "-p", str(pid), "-o", str(log), "-e", f"trace={SENDS}", "-e", inject]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert "attached" in said, f"strace could not attach: {said}"
        yield
    finally:
        process.terminate()
        process.communicate(timeout=30)


def sends_seen(log: Path) -> int:
    """How many sends strace saw."""
    return sum("send" in line for line in log.read_text().splitlines()) if log.exists() else 0
