"""scripts/test-chat.sh against tiny servers: green only when a tool was used and every table is named."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.devkit.support import REPOSITORY, TinyServer

TABLES = ["Projects", "Working Hours", 'The "big" ones']
GOOD = 'Your base has:\n- Projects\n- Working Hours\n- The "big" ones'


def chat(response: str = GOOD, tools_used: tuple[str, ...] = ("list_tables",)) -> dict[str, Any]:
    cost = {"total_cost_usd": "0.0001"}
    return {"response": response, "session_id": "demo-user", "tools_used": list(tools_used), "cost_info": cost}


@pytest.fixture
def server(start_server: Callable[[], TinyServer]) -> TinyServer:
    """One server that plays orchestrator, door and tool server."""
    tables = [{"id": f"tbl{number}", "name": name} for number, name in enumerate(TABLES)]
    server = start_server()
    listing = {"content": [{"type": "text", "text": "{}"}], "structured_content": {"tables": tables}}
    server.answers = {"/tools/call": (200, listing), "/chat": (200, chat()), "/api/chat": (200, chat())}
    return server


KEY = {"PYAIRTABLE_API_KEY": "pyu_not-a-key"}


def run(server: TinyServer, **environment: str) -> subprocess.CompletedProcess[str]:
    ports = ("API_GATEWAY_PORT", "MCP_SERVER_PORT", "LLM_ORCHESTRATOR_PORT")
    return subprocess.run(
        [str(REPOSITORY / "scripts" / "test-chat.sh")],
        env={"PATH": os.environ["PATH"], **KEY, **dict.fromkeys(ports, str(server.port)), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_good_answers_are_printed_and_green(server: TinyServer) -> None:
    done = run(server)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("named all 3 tables") == 2
    assert GOOD in done.stdout
    assert server.bodies[1:] == [{"message": "List all tables in my Airtable base", "session_id": "demo-user"}] * 2


@pytest.mark.parametrize("path", ["/chat", "/api/chat"])
@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ((200, chat("Projects and Working Hours")), 'does not name the table The \\"big\\" ones'),
        ((200, chat(tools_used=())), "answered without using a tool"),
        ((503, {"title": "the model is unavailable"}), "answered HTTP 503"),
        ((200, {}), "answered without using a tool"),
    ],
)
def test_bad_answers_are_red(server: TinyServer, path: str, answer: tuple[int, Any], complaint: str) -> None:
    server.answers[path] = answer
    done = run(server)
    assert done.returncode == 1
    assert complaint in done.stderr


def test_an_absent_system_is_red(server: TinyServer) -> None:
    done = run(server, MCP_SERVER_PORT="1")
    assert done.returncode == 1
    assert "does not answer" in done.stderr


def test_a_base_without_tables_proves_nothing(server: TinyServer) -> None:
    server.answers["/tools/call"] = (200, {"structured_content": {"tables": []}})
    done = run(server)
    assert done.returncode == 1
    assert "names no table" in done.stderr


def test_the_key_is_shown_everywhere(server: TinyServer) -> None:
    assert run(server).returncode == 0
    assert [headers.get("authorization") for headers in server.headers] == ["Bearer pyu_not-a-key"] * 3


def test_without_a_key_the_remedy_is_told(tmp_path: Path) -> None:
    script = tmp_path / "scripts" / "test-chat.sh"
    script.parent.mkdir()
    script.write_bytes((REPOSITORY / "scripts" / "test-chat.sh").read_bytes())
    done = subprocess.run(
        ["bash", str(script)], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "set PYAIRTABLE_API_KEY, or start make demo" in done.stderr
