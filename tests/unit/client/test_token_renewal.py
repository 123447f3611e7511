"""Access tokens end, refresh tokens count once: commands renew them without getting into each other's way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import Result
from unit.client.fake_door import FakeDoor

from pyairtable_platform.client.door import Door
from pyairtable_platform.client.errors import NotLoggedIn
from pyairtable_platform.client.login_file import Login, LoginFile

Run = Callable[..., Result]


def age(config: Path) -> None:
    """The access token has ended, as far as this machine knows."""
    kept = json.loads((config / "login.json").read_text())
    (config / "login.json").write_text(json.dumps({**kept, "expires_at": time.time() - 1}))


def test_an_ended_token_is_renewed_before_it_is_shown(logged_in: Run, config: Path, door: FakeDoor) -> None:
    age(config)
    assert logged_in("whoami").exit_code == 0
    assert door.refreshes == 1
    assert json.loads((config / "login.json").read_text())["refresh_token"] == "refresh-2"
    assert logged_in("whoami").exit_code == 0
    assert door.refreshes == 1


def test_a_token_that_is_refused_is_renewed_once(logged_in: Run, door: FakeDoor) -> None:
    door.forget_tokens()
    assert logged_in("whoami").exit_code == 0
    assert door.refreshes == 1


def test_a_call_that_is_refused_with_a_new_token_too_is_refused(logged_in: Run, door: FakeDoor) -> None:
    door.says("GET", "/auth/me", (401, "UNAUTHENTICATED", "not for you"))
    result = logged_in("whoami")
    assert (result.exit_code, result.stderr) == (1, "error: not for you\n")
    assert door.refreshes == 1


def test_a_login_that_has_ended_is_forgotten(logged_in: Run, config: Path, door: FakeDoor) -> None:
    door.is_over = True
    age(config)
    result = logged_in("whoami")
    assert (result.exit_code, result.stderr) == (
        1,
        "error: your login has ended: run `pyairtable-platform login`\n",
    )
    assert not (config / "login.json").exists()


def test_commands_that_run_at_once_use_a_refresh_token_once(logged_in: Run, config: Path, door: FakeDoor) -> None:
    age(config)

    def ask(_: int) -> str:
        with Door(LoginFile(config)) as one:
            return str(one.get("/auth/me")["account"]["user_name"])

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == ["ada"] * 6
    assert door.refreshes == 1
    assert not door.is_over


def test_a_killed_command_leaves_a_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = LoginFile(tmp_path / "c")
    first = Login("u", "l", "a1", "r1", 1.0)
    file.save(first)
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        file.save(Login("u", "l", "a2", "r2", 2.0))
    assert file.load() == first


def test_tokens_show_in_no_repr() -> None:
    text = repr(Login("u", "l", "secret-access", "secret-refresh", 1.0))
    assert "secret" not in text


def test_nobody_is_nobody(tmp_path: Path) -> None:
    with Door(LoginFile(tmp_path / "c")) as door, pytest.raises(NotLoggedIn):
        door.get("/auth/me")
