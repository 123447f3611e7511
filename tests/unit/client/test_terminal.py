"""In a terminal: the password is not shown, tables are drawn, Ctrl-C stops a run. And the command starts at once."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result
from unit.client.fake_door import PASSWORD, SESSION, FakeDoor

Run = Callable[..., Result]
PROGRAM = [sys.executable, "-m", "pyairtable_platform.cli"]


class Terminal:
    """A command in a terminal of its own: what it shows, and what a person types."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._master, inner = pty.openpty()
        self.process = subprocess.Popen(
            [*PROGRAM, *arguments], stdin=inner, stdout=inner, stderr=inner, env=environment, start_new_session=True
        )
        os.close(inner)
        self.shown = ""

    def until(self, text: str, seconds: float = 60) -> None:
        """Read until a text was shown."""
        end = time.monotonic() + seconds
        while text not in self.shown:
            ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{text!r} was never shown, but {self.shown!r}"
            try:
                self.shown += os.read(self._master, 65536).decode()
            except OSError as error:  # Linux: the other side is closed
                raise AssertionError(f"{text!r} was never shown, but {self.shown!r}") from error

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(config: Path, door: FakeDoor) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_terminal(*arguments: str) -> Terminal:
        environment = {**os.environ, "XDG_CONFIG_HOME": str(config.parent), "PYAIRTABLE_URL": door.url}
        opened.append(Terminal(list(arguments), {**environment, "COLUMNS": "100", "TERM": "xterm"}))
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()


def test_a_password_is_asked_for_and_not_shown(terminal: Callable[..., Terminal], door: FakeDoor) -> None:
    login = terminal("login")
    login.until("user name: ")
    login.type("ada\n")
    login.until("Password: ")
    login.type(PASSWORD + "\n")
    login.until("Logged in at")
    assert PASSWORD not in login.shown
    assert door.calls("POST", "/auth/login")[0]["password"] == PASSWORD
    assert login.process.wait(30) == 0


def test_a_table_has_a_head_and_names_are_no_markup(logged_in: Run, terminal: Callable[..., Terminal]) -> None:
    listing = terminal("workspaces")
    listing.until("ready")
    assert "YOUR ROLE" in listing.shown
    assert "Acme [red]Inc" in listing.shown


def test_an_answer_is_written_as_it_comes_and_stopped_by_ctrl_c(
    logged_in: Run, terminal: Callable[..., Terminal], door: FakeDoor
) -> None:
    door.events = [{"started": {"session_id": SESSION}}, {"text": {"text": "Once upon"}}]
    door.is_endless = True
    door.says("POST", "/runs/run-1/cancel", {})
    chat = terminal("chat", "Tell", "-w", "acme")
    chat.until("Once upon")
    chat.process.send_signal(signal.SIGINT)
    chat.until("error: stopped")
    assert chat.process.wait(30) == 1
    assert door.calls("POST", "/runs/run-1/cancel") == [{"workspace": "acme"}]


def test_no_heavy_library_is_loaded_for_people() -> None:
    heavy = ("grpc", "sqlalchemy", "fastapi", "google.genai", "mcp", "pydantic", "dbos", "redis")
    probe = "import sys, pyairtable_platform.cli; from pyairtable_platform.client import chat, door, show; "
    probe += f"print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
