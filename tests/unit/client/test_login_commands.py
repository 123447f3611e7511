"""login, logout, whoami: what is asked, what is kept, what is told."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result
from unit.client.fake_door import PASSWORD, FakeDoor

Run = Callable[..., Result]


def test_a_login_is_kept_for_its_owner_only(logged_in: Run, config: Path, door: FakeDoor) -> None:
    assert stat.S_IMODE(config.stat().st_mode) == 0o700
    assert stat.S_IMODE((config / "login.json").stat().st_mode) == 0o600
    kept = json.loads((config / "login.json").read_text())
    assert (kept["url"], kept["access_token"], kept["refresh_token"]) == (door.url, "access-1", "refresh-1")
    (asked,) = door.calls("POST", "/auth/login")
    assert (asked["login"], asked["password"]) == ("ada", PASSWORD)
    assert asked["device"].startswith("command line on ")


def test_a_login_says_who_is_logged_in_and_never_the_password(run: Run) -> None:
    result = run("login", "--login", "ada", "--password-stdin", stdin=PASSWORD + "\r\n")
    assert "as ada (ada@acme.example)" in result.output
    assert PASSWORD not in result.output


def test_a_wrong_password_is_one_sentence(run: Run, config: Path) -> None:
    result = run("login", "--login", "ada", "--password-stdin", stdin="wrong")
    assert (result.exit_code, result.stderr) == (1, "error: this name and password are not accepted\n")
    assert not (config / "login.json").exists()


@pytest.mark.parametrize(
    ("arguments", "stdin", "text"),
    [
        (["--login", "ada"], "x", "give it with --password-stdin"),
        (["--password-stdin"], "x", "--login NAME"),
        (["--login", "ada", "--password-stdin"], "", "the password is empty"),
        (["--login", "ada", "--password-stdin", "--url", "http://pyairtable.example/api"], "x", "use https://"),
        (["--login", "ada", "--password-stdin", "--url", "pyairtable.example"], "x", "is no address of an API"),
        (["--login", "ada", "--password-stdin", "--url", "https://a:b@c/api"], "x", "out of the address"),
        (["--login", "ada", "--password-stdin", "--url", "http://127.0.0.1:1/api"], "x", "cannot be reached"),
    ],
)
def test_what_cannot_be_a_login_says_what_to_do(run: Run, arguments: list[str], stdin: str, text: str) -> None:
    result = run("login", *arguments, stdin=stdin)
    assert result.exit_code == 1
    assert text in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_address_without_api_is_told(run: Run, door: FakeDoor) -> None:
    result = run("login", "--login", "ada", "--password-stdin", "--url", door.url.removesuffix("/api"), stdin="x")
    assert result.exit_code == 1
    assert "It ends in /api" in result.stderr


def test_another_login_ends_the_one_before(logged_in: Run, door: FakeDoor) -> None:
    logged_in("login", "--login", "ada", "--password-stdin", stdin=PASSWORD)
    assert door.calls("POST", "/auth/logout") == [{"refresh_token": "refresh-1"}]


def test_a_logout_ends_it_here_and_there(logged_in: Run, config: Path, door: FakeDoor) -> None:
    assert logged_in("logout").output == "Logged out.\n"
    assert door.calls("POST", "/auth/logout") == [{"refresh_token": "refresh-1"}]
    assert not (config / "login.json").exists()
    assert logged_in("logout").output == "Nobody was logged in.\n"


def test_a_logout_ends_it_here_even_when_nobody_is_there(logged_in: Run, config: Path) -> None:
    kept = json.loads((config / "login.json").read_text())
    (config / "login.json").write_text(json.dumps({**kept, "url": "http://127.0.0.1:1/api"}))
    result = logged_in("logout")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert not (config / "login.json").exists()


def test_all_logins_can_be_ended(logged_in: Run, config: Path, door: FakeDoor) -> None:
    door.says("POST", "/auth/logout-everywhere", {"ended": 3})
    assert logged_in("logout", "--everywhere").output == "Ended 3 logins. API keys go on working.\n"
    assert not (config / "login.json").exists()


def test_api_keys_can_end_with_the_logins(logged_in: Run, config: Path, door: FakeDoor) -> None:
    door.says("POST", "/auth/logout-everywhere", {"ended": 3, "revoked_api_keys": 2})
    assert "goes with --everywhere" in str(logged_in("logout", "--revoke-keys").exception)
    assert logged_in("logout", "--everywhere", "--revoke-keys").output == "Ended 3 logins. Revoked 2 API keys.\n"
    assert door.calls("POST", "/auth/logout-everywhere") == [{"revoke_api_keys": True}]


def test_whoami_is_plain_for_programs(logged_in: Run, door: FakeDoor) -> None:
    lines = logged_in("whoami").output.splitlines()
    assert lines == [
        "user\tada",
        "email\tada@acme.example",
        "id\tu1",
        f"at\t{door.url}",
        "workspace\tacme (admin)",
    ]


@pytest.mark.parametrize(
    "command", [["whoami"], ["workspaces"], ["keys"], ["invitations"], ["members"], ["chat", "Hi"]]
)
def test_who_is_not_logged_in_is_told_how_to(run: Run, command: list[str]) -> None:
    result = run(*command)
    assert (result.exit_code, result.stderr) == (1, "error: nobody is logged in: run `pyairtable-platform login`\n")


def test_a_file_that_others_can_read_is_not_used(logged_in: Run, config: Path) -> None:
    (config / "login.json").chmod(0o644)
    result = logged_in("whoami")
    assert result.exit_code == 1
    assert "others can read" in result.stderr
    assert logged_in("login", "--login", "ada", "--password-stdin", stdin=PASSWORD).exit_code == 0
    assert logged_in("whoami").exit_code == 0


def test_a_file_of_something_else_is_told(logged_in: Run, config: Path) -> None:
    (config / "login.json").write_text('{"token": 1}')
    result = logged_in("whoami")
    assert result.exit_code == 1
    assert "is no login that this version wrote" in result.stderr
