"""workspaces, members, invite, invitations, keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result
from unit.client.fake_door import FakeDoor

from pyairtable_platform.client import waiting

Run = Callable[..., Result]
TWO = {"workspaces": [{"name": "acme", "members": [{"role": "admin"}]}, {"name": "beta", "suspended": True}]}


def test_workspaces_are_listed_with_role_and_state(logged_in: Run, door: FakeDoor) -> None:
    assert logged_in("workspaces").output == "acme\tAcme [red]Inc\tadmin\tready\n"
    door.says("GET", "/my/workspaces", TWO)
    assert logged_in("workspaces").output == "acme\t\tadmin\tready\nbeta\t\t\tsuspended\n"


def test_signs_that_steer_a_terminal_are_left_out(logged_in: Run, door: FakeDoor) -> None:
    door.says("GET", "/my/workspaces", {"workspaces": [{"name": "a", "display_name": "\x1b[31mred\r\nx\ty\x07"}]})
    assert logged_in("workspaces").output == "a\t[31mred x y\t\tready\n"


def test_a_workspace_is_made_once_and_awaited(logged_in: Run, door: FakeDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PAUSE_SECONDS", 0.01)
    states = iter(["RUNNING", "RUNNING", "COMPLETED"])
    door.says("POST", "/workspaces", {"saga_id": "saga-1"})
    door.says("GET", "/sagas/saga-1", lambda body: {"saga": {"state": f"SAGA_STATE_{next(states)}"}})
    result = logged_in("workspaces", "create", "beta", "--title", "Beta")
    assert result.output == "Workspace beta is ready.\n"
    (asked,) = door.calls("POST", "/workspaces")
    assert (asked["name"], asked["display_name"]) == ("beta", "Beta")
    assert asked["idempotency_key"]


def test_a_workspace_that_could_not_be_made_says_why(logged_in: Run, door: FakeDoor) -> None:
    door.says("POST", "/workspaces", {"saga_id": "saga-1"})
    failed = {"state": "SAGA_STATE_COMPENSATED", "error": "the name is taken"}
    door.says("GET", "/sagas/saga-1", {"saga": failed})
    result = logged_in("workspaces", "create", "beta")
    assert (result.exit_code, result.stderr) == (1, "error: it could not be made: the name is taken\n")


def test_leaving_is_asked_for(logged_in: Run, door: FakeDoor) -> None:
    door.says("POST", "/my/workspaces/acme/leave", {})
    result = logged_in("workspaces", "leave", "acme")
    assert (result.exit_code, result.stderr) == (1, "error: there is nobody to ask: add --yes\n")
    assert not door.calls("POST", "/my/workspaces/acme/leave")
    assert logged_in("workspaces", "leave", "acme", "--yes").output == "You left workspace acme.\n"


def test_a_refusal_is_told_as_the_door_told_it(logged_in: Run, door: FakeDoor) -> None:
    text = "you are the last owner: make somebody else an owner first"
    door.says("POST", "/my/workspaces/acme/leave", (409, "CONFLICT", text))
    result = logged_in("workspaces", "leave", "acme", "-y")
    assert (result.exit_code, result.stderr) == (1, f"error: {text}\n")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((429, "RATE_LIMITED", "too many calls", {"retry_after_seconds": 7.2}), "too many calls (try again in 7 s)"),
        ((503, "DEPENDENCY_UNAVAILABLE", "auth is away"), "auth is away (request request-1)"),
        ((502, "", ""), "nothing that PyAirtable would say"),
    ],
)
def test_passing_errors_say_when_and_ours_which_request(logged_in: Run, door: FakeDoor, answer: Any, text: str) -> None:
    door.says("GET", "/my/workspaces", answer if answer[2] else (*answer[:2], "", {"title": ""}))
    result = logged_in("workspaces")
    assert result.exit_code == 1
    assert text in result.stderr


def test_an_answer_of_something_else_is_told(logged_in: Run, door: FakeDoor) -> None:
    door.says("POST", "/my/invitations/accept", {"hello": "world"})
    result = logged_in("invitations", "accept", "i1")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: the answer lacks 'workspace': is this the API")


def test_members_of_the_only_workspace_need_no_name(logged_in: Run, door: FakeDoor) -> None:
    ada = {"user_id": "u1", "email": "ada@acme.example", "role": "owner", "joined_at": "2026-11-22T10:00:00Z"}
    declared = {"email": "bob@acme.example", "role": "owner", "declared": True}
    door.says("GET", "/workspaces/acme/members", {"members": [ada, declared]})
    lines = logged_in("members").output.splitlines()
    assert re.fullmatch(r"ada@acme.example\towner\t2026-11-2\d \d\d:\d\d\tu1", lines[0])
    assert lines[1] == "bob@acme.example\towner\t\t"


def test_of_several_workspaces_one_is_named_or_preferred(logged_in: Run, door: FakeDoor) -> None:
    door.says("GET", "/my/workspaces", TWO)
    door.says("GET", "/users/me", {"preferences": {"default_workspace": ""}})
    door.says("GET", "/workspaces/beta/members", {"members": []})
    result = logged_in("members")
    assert (result.exit_code, "name one with --workspace (acme, beta)" in result.stderr) == (1, True)
    assert logged_in("members", "--workspace", "beta").exit_code == 0
    door.says("GET", "/users/me", {"preferences": {"default_workspace": "beta"}})
    assert logged_in("members").exit_code == 0


def test_who_is_in_no_workspace_is_told_how_to_get_into_one(logged_in: Run, door: FakeDoor) -> None:
    door.says("GET", "/my/workspaces", {})
    assert "make one (`workspaces create NAME`)" in logged_in("members").stderr


def test_a_strange_name_stays_one_part_of_the_path(logged_in: Run, door: FakeDoor) -> None:
    assert logged_in("members", "-w", "../../admin/sagas").exit_code == 1
    assert door.seen[-1][1] == "/workspaces/../../admin/sagas/members"  # as the server decodes it: one part
    assert "..%2F..%2Fadmin%2Fsagas" in door.paths[-1]


def test_somebody_is_invited(logged_in: Run, door: FakeDoor) -> None:
    made = {"invitation": {"role": "viewer", "expires_at": "2026-11-29T10:00:00Z"}}
    door.says("POST", "/workspaces/acme/invitations", made)
    result = logged_in("invite", "bob@acme.example", "--role", "viewer")
    assert result.output.startswith("Invited bob@acme.example to acme as viewer; it counts until 2026-11-")
    assert door.calls("POST", "/workspaces/acme/invitations") == [{"email": "bob@acme.example", "role": "viewer"}]


def waiting_invitations(*ids: str) -> dict[str, Any]:
    return {"invitations": [{"invitation_id": one, "workspace": "beta", "role": "editor"} for one in ids]}


def test_invitations_are_listed_and_accepted(logged_in: Run, door: FakeDoor) -> None:
    door.says("GET", "/my/invitations", waiting_invitations("i1"))
    door.says("POST", "/my/invitations/accept", {"workspace": "beta", "role": "editor"})
    assert logged_in("invitations").output == "i1\tbeta\teditor\t\n"
    assert logged_in("invitations", "accept").output == "You are in workspace beta as editor.\n"
    logged_in("invitations", "accept", "i7")
    logged_in("invitations", "accept", "pyi_x")
    asked = door.calls("POST", "/my/invitations/accept")
    assert asked == [{"invitation_id": "i1"}, {"invitation_id": "i7"}, {"token": "pyi_x"}]


def test_of_several_invitations_one_is_named(logged_in: Run, door: FakeDoor) -> None:
    door.says("GET", "/my/invitations", waiting_invitations("i1", "i2"))
    result = logged_in("invitations", "accept")
    assert (result.exit_code, "2 invitations wait for you: name one" in result.stderr) == (1, True)


def test_an_invitation_is_declined(logged_in: Run, door: FakeDoor) -> None:
    door.says("POST", "/my/invitations/decline", {})
    assert logged_in("invitations", "decline", "i1").output == "Declined.\n"


def test_a_key_goes_to_standard_output_and_nothing_else(logged_in: Run, door: FakeDoor) -> None:
    key = {"key_id": "k1", "workspace": "acme", "role": "editor"}
    door.says("POST", "/api-keys", {"key": "pyu_k1_plainly-not-a-real-key", "api_key": key})
    result = logged_in("keys", "create", "--name", "ci", "--role", "editor")
    assert result.stdout == "pyu_k1_plainly-not-a-real-key\n"
    assert "key k1 for workspace acme as editor" in result.stderr
    (asked,) = door.calls("POST", "/api-keys")
    assert (asked["workspace"], asked["name"], asked["role"]) == ("acme", "ci", "editor")
    assert asked["expires_at"]
    logged_in("keys", "create", "--days", "0")
    assert "expires_at" not in door.calls("POST", "/api-keys")[1]


def test_keys_are_listed_page_by_page(logged_in: Run, door: FakeDoor) -> None:
    one = {"key_id": "k1", "workspace": "acme", "role": "editor", "name": "ci"}
    pages = {
        "": {"api_keys": [one], "next_page_token": "t"},
        "t": {"api_keys": [{**one, "key_id": "k2", "revoked_at": "2026-11-22T10:00:00Z"}]},
    }
    door.says("GET", "/api-keys", lambda query: pages[query.get("page_token", "")])
    assert logged_in("keys").output == "k1\tacme\teditor\tci\t\t\nk2\tacme\teditor\tci\t\trevoked\n"


def test_a_key_is_revoked(logged_in: Run, door: FakeDoor) -> None:
    door.says("DELETE", "/api-keys/k1", {"api_key": {}})
    assert logged_in("keys", "revoke", "k1").output == "Key k1 is revoked.\n"
