"""The supervisor: order of start and stop, gates, failures, signals, and nothing left behind."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from unit.devkit.support import is_gone, wait_until

from pyairtable_devkit.parts import PartFailedError, ProcessPart
from pyairtable_devkit.ports import LOOPBACK, PortTakenError, free_port, is_free
from pyairtable_devkit.stack import Progress, Stack, Stage, StopRequestedError, stop_signals

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")


@dataclass
class FakePart:
    """Writes down what happens to it; is ready after it was asked so many times."""

    name: str
    diary: list[str]
    after: Sequence[str] = ()
    asks: int = 1
    ports: Sequence[int] = ()
    pid: int | None = None
    trouble: str = ""
    _asked: int = field(default=0)

    def start(self) -> None:
        self.diary.append(f"start {self.name}")

    def is_ready(self) -> bool:
        self._asked += 1
        if self._asked == self.asks:
            self.diary.append(f"ready {self.name}")
        return self._asked >= self.asks

    def failure(self) -> str:
        return self.trouble

    def stop(self) -> None:
        self.diary.append(f"stop {self.name}")


def ignore(progress: Progress) -> None:
    """Nobody watches."""


@pytest.fixture(autouse=True)
def usual_signals() -> Iterator[None]:
    """Whatever a test does, the next one finds the handlers it expects."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    assert before == {number: signal.getsignal(number) for number in before}


def test_a_part_starts_when_those_it_needs_are_ready_and_not_before() -> None:
    diary: list[str] = []
    parts = [
        FakePart("database", diary, asks=3),
        FakePart("emulator", diary, asks=4),
        FakePart("migrate", diary, after=["database"], asks=1),
        FakePart("service", diary, after=["migrate", "emulator"]),
    ]
    with Stack(parts, report=ignore) as stack:
        stack.start()
        assert diary[:2] == ["start database", "start emulator"]  # together: neither needs the other
        assert diary.index("ready database") < diary.index("start migrate")
        assert max(diary.index("ready migrate"), diary.index("ready emulator")) < diary.index("start service")


def test_parts_stop_in_the_reverse_of_the_given_order_whichever_was_up_sooner() -> None:
    diary: list[str] = []
    parts = [FakePart("a", diary, asks=3), FakePart("b", diary, after=["a"]), FakePart("door", diary)]
    with Stack(parts, report=ignore) as stack:
        stack.start()
        assert diary.index("start door") < diary.index("start b")
        diary.clear()
    assert diary == ["stop door", "stop b", "stop a"]


def test_a_part_that_fails_ends_the_start_and_stops_the_rest() -> None:
    diary: list[str] = []
    parts = [FakePart("a", diary), FakePart("b", diary, after=["a"], asks=999, trouble="b ended with exit code 3")]
    with pytest.raises(PartFailedError, match="b ended with exit code 3"), Stack(parts, report=ignore) as stack:
        stack.start()
    assert diary[-2:] == ["stop b", "stop a"]


def test_a_part_that_ends_later_ends_the_wait() -> None:
    part = FakePart("a", [])
    with Stack([part], report=ignore) as stack:
        stack.start()
        part.trouble = "a was ended by signal 9"
        with pytest.raises(PartFailedError, match="a was ended by signal 9"):
            stack.wait()


def test_a_taken_port_is_told_before_anything_starts() -> None:
    diary: list[str] = []
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        parts = [FakePart("a", diary), FakePart("b", diary, ports=[port])]
        with Stack(parts, report=ignore) as stack, pytest.raises(PortTakenError, match=f"Port {port}, which b needs"):
            stack.start()
    assert diary == []


def test_a_part_may_only_need_parts_before_it() -> None:
    with pytest.raises(ValueError, match=r"a needs parts that do not stand before it: \['b'\]"):
        Stack([FakePart("a", [], after=["b"]), FakePart("b", [])], report=ignore)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_ends_the_wait_and_stops_everything(number: signal.Signals) -> None:
    diary: list[str] = []
    part = FakePart("a", diary)
    part_stack = Stack([part], report=ignore)
    before = signal.signal(number, signal.SIG_DFL)  # under nohup a hang-up is ignored, and stays so
    try:
        with pytest.raises(StopRequestedError, match=number.name), stop_signals(), part_stack as stack:
            stack.start()
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)
    assert diary[-1] == "stop a"


def test_an_interrupt_that_is_ignored_is_heard_all_the_same() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as scripts leave it for what they start in the background
    try:
        with pytest.raises(StopRequestedError), stop_signals():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def process(tmp_path: Path, name: str, code: str, **options: object) -> ProcessPart:
    command = [sys.executable, "-c", code]
    return ProcessPart(name, command, tmp_path, dict(os.environ), **options)  # type: ignore[arg-type]


def server_code(port: int) -> str:
    return f"""
import http.server
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/ready" else 404)
        self.end_headers()
print("up", flush=True)
http.server.HTTPServer(("127.0.0.1", {port}), Ready).serve_forever()
"""


def test_a_ctrl_c_while_stopping_kills_what_does_not_want_to_stop(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)"
    part = process(tmp_path, "deaf", f"{deaf}; time.sleep(600)")

    def interrupt(progress: Progress) -> None:
        if progress.stage is Stage.STOPPING:
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()

    with Stack([part], report=interrupt) as stack:
        stack._begin(part)
        wait_until(lambda: "up" in (tmp_path / "deaf.log").read_text())
        began = time.monotonic()
    assert part.pid is None
    assert time.monotonic() - began < 9  # it was not asked for the ten seconds of grace


def test_a_job_is_ready_when_it_has_ended_well(tmp_path: Path) -> None:
    job = process(tmp_path, "job", "print('done')")
    with Stack([job], report=ignore) as stack:
        stack.start()
        assert (tmp_path / "job.log").read_text() == "done\n"
        stack.check()


def test_a_job_that_fails_shows_the_end_of_its_log(tmp_path: Path) -> None:
    job = process(tmp_path, "job", "import sys; print('no such table'); sys.exit(3)")
    with (
        pytest.raises(PartFailedError, match=r"job ended with exit code 3; its log .*job\.log ends:\nno such table"),
        Stack([job], report=ignore) as stack,
    ):
        stack.start()


def test_a_server_is_ready_when_it_says_so_over_http(tmp_path: Path) -> None:
    port = free_port()
    server = process(tmp_path, "server", server_code(port), ports=[port])
    with Stack([server], report=ignore) as stack:
        stack.start()
        assert not is_free(port)
    assert is_free(port)


SUPERVISOR = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from unit.devkit.test_stack import ignore, process, server_code
from pyairtable_devkit.databases import Valkey
from pyairtable_devkit.parts import DatabasePart
from pyairtable_devkit.stack import Stack, StopRequestedError, stop_signals

folder = Path({folder!r})
parts = [
    DatabasePart("valkey", Valkey, {ports[0]}, folder / "valkey"),
    process(folder, "first", server_code({ports[1]}), ports=[{ports[1]}]),
    process(folder, "second", server_code({ports[2]}), ports=[{ports[2]}], after=["first", "valkey"]),
]
try:
    with stop_signals(), Stack(parts, report=ignore) as stack:
        stack.start()
        print(*(part.pid for part in parts), flush=True)
        stack.wait()
except StopRequestedError:
    print("stopped", flush=True)
"""


def supervise(tmp_path: Path, ports: Sequence[int]) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a supervisor of three servers; return it and their process ids once all are up."""
    tests = str(Path(__file__).resolve().parents[2])
    code = SUPERVISOR.format(tests=tests, folder=str(tmp_path), ports=ports)
    supervisor = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    return supervisor, [int(pid) for pid in supervisor.stdout.readline().split()]


def test_a_stopped_supervisor_leaves_nothing(tmp_path: Path) -> None:
    ports = [free_port() for _ in range(3)]
    supervisor, pids = supervise(tmp_path, ports)
    with supervisor:
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.communicate(timeout=30)[0] == "stopped\n"
    assert supervisor.returncode == 0
    assert all(is_gone(pid) for pid in pids)
    assert all(is_free(port) for port in ports)


@LINUX
def test_after_a_kill_of_everything_a_second_start_works(tmp_path: Path) -> None:
    ports = [free_port() for _ in range(3)]
    supervisor, pids = supervise(tmp_path, ports)
    for pid in [*pids, supervisor.pid]:
        os.kill(pid, signal.SIGKILL)
    supervisor.communicate(timeout=30)
    again, pids = supervise(tmp_path, ports)
    with again:
        assert len(pids) == 3
        again.send_signal(signal.SIGINT)
        assert again.communicate(timeout=30)[0] == "stopped\n"


@LINUX
def test_a_killed_supervisor_leaves_nothing(tmp_path: Path) -> None:
    ports = [free_port() for _ in range(3)]
    supervisor, pids = supervise(tmp_path, ports)
    supervisor.kill()
    supervisor.communicate(timeout=30)
    for pid in pids:
        wait_until(lambda pid=pid: is_gone(pid))  # type: ignore[misc]
    assert all(is_free(port) for port in ports)
