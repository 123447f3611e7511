"""Operators by fork: one process imports everything once, and every start is a fork of it, in milliseconds.

A kill point needs an operator killed and another started; Python's imports would take most of that time. Each operator
is a process of its own all the same, with its own environment, and SIGKILL and SIGSTOP mean what they mean.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, cast

import orjson
from kubernetes_kit.operator_process import OperatorProcess

PR_SET_PDEATHSIG = 1


class Forked:
    """A forked process, with what `subprocess.Popen` has."""

    def __init__(self, zygote: Zygote, pid: int) -> None:
        self._zygote, self.pid = zygote, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status (negative: the signal), or None while it runs."""
        if self.returncode is None:
            self.returncode = self._zygote.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float = 30) -> int:
        """Wait for the end; the exit status."""
        limit = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > limit:
                raise subprocess.TimeoutExpired("operator", timeout)
            time.sleep(0.005)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        self.send_signal(signal.SIGKILL)


class ForkedOperator(OperatorProcess):
    """An operator that starts by fork.

    `constants` are module constants, like `watches.SILENCE`, that take other values in this operator: waits that are
    right for a cluster and too long for a test.
    """

    def __init__(
        self,
        zygote: Zygote,
        kubeconfig: Path,
        platform: Mapping[str, str],
        *,
        name: str = "operator-a",
        server_url: str = "",
        env: Mapping[str, str] | None = None,
        constants: Mapping[str, float] | None = None,
    ) -> None:
        """Does not start yet."""
        super().__init__(kubeconfig, platform, name=name, server_url=server_url, env=env)
        self._zygote, self._constants = zygote, dict(constants or {})

    def start(self) -> Self:
        """Starts it (again)."""
        self.process = cast("subprocess.Popen[bytes]", self._zygote.start(self.env, self.log, self._constants))
        return self


class Zygote:
    """The process that forks operators; use it as a context manager."""

    def __enter__(self) -> Self:
        environment = {**minimal(), "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self._children: list[Forked] = []
        return self

    def __exit__(self, *_exc: object) -> None:
        for child in self._children:
            child.kill()
            child.wait()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def start(self, environment: Mapping[str, str], log: Path, constants: Mapping[str, float]) -> Forked:
        """An operator with this environment and no other; its output is appended to `log`."""
        pid = self.ask({"environment": dict(environment), "log": str(log), "constants": dict(constants)})
        assert pid is not None
        child = Forked(self, pid)
        self._children.append(child)
        return child

    def ask(self, request: dict[str, Any]) -> int | None:
        """One line there, one line back."""
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(orjson.dumps(request) + b"\n")
            self._process.stdin.flush()
            answer = orjson.loads(self._process.stdout.readline())
        return None if answer is None else int(answer)


def minimal() -> dict[str, str]:
    """What any program needs of the environment."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def serve() -> None:
    """Import the operator, then fork when told to, until the input ends."""
    import pyairtable_operator.main  # noqa: F401 - what every fork shares

    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    ended: dict[int, int] = {}
    while line := sys.stdin.buffer.readline():
        request = orjson.loads(line)
        if "poll" in request:
            answers.write(orjson.dumps(status_of(request["poll"], ended)) + b"\n")
        elif pid := os.fork():
            answers.write(orjson.dumps(pid) + b"\n")
        else:
            answers.close()
            set_constants(request["constants"])
            become_operator(request["environment"], request["log"])


def status_of(pid: int, ended: dict[int, int]) -> int | None:
    if pid not in ended:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            ended[pid] = os.waitstatus_to_exitcode(status)
    return ended.get(pid)


def set_constants(constants: dict[str, float]) -> None:
    for path, value in constants.items():
        module, _, name = path.rpartition(".")
        found = importlib.import_module(f"pyairtable_operator.{module}")
        assert isinstance(getattr(found, name), int | float)
        setattr(found, name, value)


def become_operator(environment: dict[str, str], log: str) -> None:
    """In the fork: take the environment and run the command; never returns."""
    from pyairtable_operator.main import main

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["pyairtable-operator"]
    status = 1
    try:
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve()
