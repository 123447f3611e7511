"""The frame of the demo: the streamed chat it reads, what it prints, and the exit code it leaves with."""

import io
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from unit.devkit.support import TinyServer
from unit.devkit.test_stack import FakePart

from pyairtable_devkit.demo.platform import Event, PlatformClient, StepFailedError
from pyairtable_devkit.demo.run import run
from pyairtable_devkit.demo.show import Show, cost_line
from pyairtable_devkit.topology import Plan, emulators

STREAM = """\
id: 1
event: started
data: {"id": 1, "run_id": "r", "started": {"session_id": "s"}}

: keep-alive

id: 2
event: tool_started
data: {"id": 2, "tool_started": {"call_id": "c", "tool": "list_tables", "arguments": {}}}

id: 3
event: text
data: {"id": 3, "text": {"text": "Projects: "}}

id: 4
event: text
data: {"id": 4, "text": {"text": "one"}}

"""
DONE = """\
id: 5
event: done
data: {"id": 5, "done": {"response": "Projects: one", "tools_used": ["list_tables"], "cost_info": {"model": "m"}}}

"""


def plan_for(server: TinyServer, **environment: str) -> Plan:
    """A plan in which the api-gateway is the tiny server."""
    return Plan(Path(), Path(), emulators(), environment, port_offset=server.port - 8000)


@pytest.fixture
def chat(start_server: Callable[[], TinyServer]) -> Iterator[tuple[TinyServer, PlatformClient, list[Event]]]:
    server = start_server()
    client = PlatformClient(plan_for(server), "pyu_not-a-key")
    yield server, client, []
    client.close()


Chat = tuple[TinyServer, PlatformClient, list[Event]]


def test_a_streamed_turn_is_shown_as_it_comes_and_returned_whole(chat: Chat) -> None:
    server, client, events = chat
    server.answers["/api/chat/stream"] = (200, STREAM + DONE)
    turn = client.chat("List", "demo-user", events.append)
    assert (turn.answer, turn.tools, turn.cost) == ("Projects: one", ("list_tables",), {"model": "m"})
    assert [event.kind for event in events] == ["started", "tool_started", "text", "text", "done"]
    assert server.bodies == [{"message": "List", "session_id": "demo-user"}]
    assert server.headers[0]["authorization"] == "Bearer pyu_not-a-key"


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ((200, STREAM), "ended before the answer was complete"),
        ((200, STREAM + 'event: failed\ndata: {"failed": {"reason": "R", "message": "why"}}\n\n'), "R: why"),
        ((200, STREAM + 'event: cancelled\ndata: {"cancelled": {}}\n\n'), "cancelled"),
        ((200, STREAM + 'event: error\ndata: {"detail": "gone"}\n\n'), "the stream broke off: gone"),
        ((429, {"detail": "slow down"}), "answered 429: .*slow down"),
    ],
)
def test_a_turn_without_an_answer_fails(chat: Chat, answer: tuple[int, Any], complaint: str) -> None:
    server, client, events = chat
    server.answers["/api/chat/stream"] = answer
    with pytest.raises(StepFailedError, match=complaint):
        client.chat("List", "demo-user", events.append)


def shown() -> tuple[Show, io.StringIO]:
    out = io.StringIO()
    return Show(Console(file=out, width=200)), out


def leave(held: bool, *parts: FakePart, stay: Callable[[], None] | None = None) -> tuple[int, str]:
    show, out = shown()
    return run(parts, show, steps=lambda: held, stay=stay), out.getvalue()


def test_the_exit_code_tells_whether_every_step_held() -> None:
    part = FakePart("a", [])
    assert leave(True, part)[0] == 0
    assert leave(False, part)[0] == 1


def test_ctrl_c_after_steps_that_held_is_no_failure() -> None:
    code, text = leave(True, FakePart("a", []), stay=lambda: signal.raise_signal(signal.SIGINT))
    assert code == 0
    assert "Stopped: no process is left behind." in text


def test_ctrl_c_before_the_end_is_an_interruption() -> None:
    def interrupted() -> bool:
        signal.raise_signal(signal.SIGINT)
        return True

    show, _ = shown()
    assert run([FakePart("a", [])], show, steps=interrupted, stay=None) == 130


def test_a_part_that_ends_meanwhile_fails_the_demo() -> None:
    part = FakePart("a", [])
    show, out = shown()

    def steps() -> bool:
        part.trouble = "a was ended by signal 9"
        return True

    assert run([part], show, steps=steps, stay=None) == 1
    assert "✗ a was ended by signal 9" in out.getvalue()


def test_a_pipe_gets_plain_lines_as_parts_become_ready() -> None:
    _, text = leave(True, FakePart("valkey", [], ports=[1]), FakePart("job", []))
    lines = [line.split() for line in text.splitlines()]
    assert lines[0][:3] == ["✓", "valkey", "127.0.0.1:1"]
    assert lines[1][:3] == ["✓", "job", "done"]
    assert "\x1b" not in text


def test_text_of_others_is_never_read_as_markup() -> None:
    show, out = shown()
    show.event(Event("tool_started", {"tool": "search", "arguments": {"query": "[red]x[/red]", "max_records": 5.0}}))
    show.event(Event("tool_ended", {"tool": "search", "is_error": True, "error": "[bold] broke"}))
    show.event(Event("text", {"text": "[link]"}))
    show.held("[i]done")
    assert [line.strip() for line in out.getvalue().splitlines()] == [
        "→ search(query='[red]x[/red]', max_records=5)",
        "← search failed: [bold] broke",
        "[link]",
        "✓ [i]done",
    ]


def test_the_cost_of_a_turn_is_told_and_an_unknown_price_is_not_invented() -> None:
    cost = {"model": "m", "input_tokens": 10, "output_tokens": 2, "total_cost_usd": "0.000412"}
    line = cost_line(cost, 1.25)
    assert line == "cost $0.000412: 10 input, 2 output, 0 thinking, 0 cached tokens, m, 1.2 s"
    assert cost_line({**cost, "total_cost_usd": ""}, 1).startswith("cost no price known: ")
