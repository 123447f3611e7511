"""Child processes that cannot outlive us.

Each child has a process group of its own (so Ctrl-C in the terminal reaches only us, and we stop the children
in order) and, on Linux, is killed by the kernel when the thread that started it ends: start children from a
thread that lives as long as they should. On macOS a kill -9 of the parent leaves them running.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

_EXEC = Path(__file__).with_name("_exec.py")


class Child:
    """A running program and the file its output goes to."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        self._process = process

    @classmethod
    def start(
        cls,
        name: str,
        argv: Sequence[str | Path],
        *,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        user: str = "",
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> "Child":
        """Start argv (an absolute program path first); its stdout and stderr are appended to log_path.

        env replaces the environment, user is an account to run as (we must be root), death_signal is what the
        kernel sends when we die.
        """
        launcher = [sys.executable, "-I", "-S", str(_EXEC), str(os.getpid()), str(int(death_signal)), user]
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                [*launcher, *map(str, argv)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                process_group=0,
            )
        return cls(name, process, log_path)

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code (negative: the signal it died of), None while it runs."""
        return self._process.poll()

    def stop(self, *, ask: signal.Signals = signal.SIGTERM, grace: float = 10.0) -> None:
        """Ask the child to end and wait; what has not ended after grace seconds is killed."""
        if self.exit_code() is None:
            self._process.send_signal(ask)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        self.kill()

    def kill(self) -> None:
        """Kill the child, its process group and all it started, and wait until they are gone."""
        descendants = [] if self.exit_code() is not None else family(self.pid)[1:]
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        for descendant in descendants:
            with contextlib.suppress(psutil.Error):
                descendant.kill()
        self._process.wait(5)
        _wait_until_gone(descendants, timeout=5)

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of the output, for an error message."""
        text = self.log_path.read_bytes()[-20_000:].decode(errors="replace") if self.log_path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants; empty when it is gone."""
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def command_line(pid: int) -> Sequence[str]:
    """Return the arguments of a process; empty when it is gone or not ours to see."""
    try:
        return list(psutil.Process(pid).cmdline())
    except psutil.Error:
        return []


def _wait_until_gone(processes: Sequence[psutil.Process], timeout: float) -> None:
    """Wait for processes that are not our children; a zombie that nobody has collected counts as gone."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and any(map(_is_alive, processes)):
        time.sleep(0.01)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
