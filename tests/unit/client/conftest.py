"""A running fake door, and the command line with a configuration of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from unit.client.fake_door import PASSWORD, DoorServer, FakeDoor

from pyairtable_platform.cli import app

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def door_server() -> Iterator[DoorServer]:
    server = DoorServer()
    server.thread.start()
    yield server
    server.thread.stop()


@pytest.fixture
def door(door_server: DoorServer) -> FakeDoor:
    """With one person who is in one workspace."""
    fake = door_server.new_door()
    account = {"user_id": "u1", "user_name": "ada", "email": "ada@acme.example", "is_admin": False}
    fake.says("GET", "/auth/me", {"account": account, "memberships": [{"workspace": "acme", "role": "admin"}]})
    acme = {"name": "acme", "display_name": "Acme [red]Inc", "members": [{"role": "admin"}]}
    fake.says("GET", "/my/workspaces", {"workspaces": [acme]})
    return fake


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The folder of the command line's files."""
    return tmp_path / "config" / "pyairtable"


@pytest.fixture
def run(config: Path, door: FakeDoor) -> Run:
    """Run a command."""

    def run(*arguments: str, stdin: str = "") -> Result:
        environment = {"XDG_CONFIG_HOME": str(config.parent), "PYAIRTABLE_URL": door.url, "PYAIRTABLE_WORKSPACE": None}
        return CliRunner().invoke(app, list(arguments), input=stdin, env=environment)

    return run


@pytest.fixture
def logged_in(run: Run) -> Run:
    """As `run`, after a login."""
    result = run("login", "--login", "ada", "--password-stdin", stdin=PASSWORD + "\n")
    assert result.exit_code == 0, result.output
    return run
