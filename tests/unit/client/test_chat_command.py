"""chat: the answer as it comes, over broken connections too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result
from unit.client.fake_door import SESSION, FakeDoor

from pyairtable_platform.client import chat
from pyairtable_platform.client.chat import AnswerWriter

Run = Callable[..., Result]

ANSWER: list[dict[str, Any]] = [
    {"started": {"session_id": SESSION, "model": "m"}},
    {"tool_started": {"call_id": "1", "tool": "list_tables"}},
    {"tool_ended": {"call_id": "1", "tool": "list_tables", "is_error": False}},
    {"text": {"text": "Two "}},
    {"text": {"text": "tables."}},
    {"done": {"response": "Two tables.", "cost_info": {"total_cost_usd": "0.000412"}}},
]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "PAUSE_SECONDS", 0)


def test_the_answer_and_nothing_else_goes_to_standard_output(logged_in: Run, door: FakeDoor) -> None:
    door.events = ANSWER
    result = logged_in("chat", "List my tables")
    assert result.exit_code == 0
    assert result.stdout == "Two tables.\n"
    assert result.stderr == f"[list_tables]\ncost: 0.000412 USD\nsession: {SESSION}\n"
    (asked,) = door.calls("POST", "/chat/stream")
    assert (asked["workspace"], asked["message"], asked["session_id"]) == ("acme", "List my tables", "")


def test_a_session_and_a_message_of_standard_input(logged_in: Run, door: FakeDoor) -> None:
    door.events = ANSWER
    logged_in("chat", "-", "--session", "s7", "-w", "beta", stdin="From a file\n")
    (asked,) = door.calls("POST", "/chat/stream")
    assert (asked["message"], asked["session_id"], asked["workspace"]) == ("From a file\n", "s7", "beta")


def test_an_empty_message_is_not_sent(logged_in: Run, door: FakeDoor) -> None:
    assert logged_in("chat", " ").stderr == "error: the message is empty\n"
    assert not door.calls("POST", "/chat/stream")


def test_a_broken_connection_is_read_on_where_it_broke(logged_in: Run, door: FakeDoor) -> None:
    door.events = ANSWER
    door.break_after = [3, 1]
    result = logged_in("chat", "Hi", "-w", "acme")
    assert result.stdout == "Two tables.\n"
    assert result.stderr.count("[list_tables]") == 1
    assert len(door.calls("POST", "/chat/stream")) == 1
    resumed = [headers["last-event-id"] for headers in door.headers if "last-event-id" in headers]
    assert resumed == ["3", "4"]


def test_a_connection_that_broke_before_anything_came_sends_the_message_again_under_its_key(
    logged_in: Run, door: FakeDoor
) -> None:
    door.events = ANSWER
    door.break_after = [0]
    assert logged_in("chat", "Hi", "-w", "acme").stdout == "Two tables.\n"
    first, second = door.calls("POST", "/chat/stream")
    assert first == second
    assert first["idempotency_key"]


def test_a_connection_that_always_breaks_ends_with_a_sentence(logged_in: Run, door: FakeDoor) -> None:
    door.events = ANSWER
    door.break_after = [0] * 20
    result = logged_in("chat", "Hi", "-w", "acme")
    assert result.exit_code == 1
    assert "breaks again and again" in result.stderr
    assert len(door.calls("POST", "/chat/stream")) == chat.TRIES


def test_a_run_that_failed_says_why(logged_in: Run, door: FakeDoor) -> None:
    door.events = [ANSWER[0], {"failed": {"reason": "MODEL_UNAVAILABLE", "message": "the model is overloaded"}}]
    result = logged_in("chat", "Hi", "-w", "acme")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("error: the model is overloaded\n")


def test_a_failed_tool_is_told_beside_the_answer(logged_in: Run, door: FakeDoor) -> None:
    failed = {"tool_ended": {"call_id": "1", "tool": "list_tables", "is_error": True, "error": "denied"}}
    door.events = [*ANSWER[:2], failed, *ANSWER[3:]]
    assert "[list_tables failed: denied]\n" in logged_in("chat", "Hi").stderr


def test_an_answer_steers_no_terminal(logged_in: Run, door: FakeDoor) -> None:
    door.events = [ANSWER[0], {"done": {"response": "\x1b]0;owned\x07 fine"}}]
    assert logged_in("chat", "Hi").stdout == "]0;owned fine\n"


def test_live_pieces_are_written_as_they_come_and_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    writer = AnswerWriter(is_live=True)
    writer.show("text", {"text": "Wro"})
    writer.show("rewound", {"response": ""})
    writer.show("text", {"text": "Right"})
    writer.show("done", {"response": "Right"})
    assert capsys.readouterr().out == "Wro\n(the answer begins again)\nRight\n"
