"""The control side over HTTP, and the command that starts the emulator."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from pyairtable_devkit.airtable.testing import (
    BASE,
    SECOND_BASE,
    TOKEN_ALL,
    TOKEN_NO_SCHEMA,
    TOKEN_ONE_BASE,
    TOKEN_READ_ONLY,
    EmulatorControl,
    EmulatorThread,
)

from .conftest import Client


def control(emulator: EmulatorThread, method: str, path: str, **options: Any) -> tuple[int, Any]:
    answer = httpx2.request(method, f"{emulator.url}/_emulator{path}", trust_env=False, **options)
    return answer.status_code, answer.json()


def test_the_index_lists_tokens_bases_and_endpoints(emulator: EmulatorThread) -> None:
    _, index = control(emulator, "GET", "")
    assert "not Airtable" in index["emulator"]
    assert {token["token"] for token in index["tokens"]} == {
        TOKEN_ALL,
        TOKEN_READ_ONLY,
        TOKEN_ONE_BASE,
        TOKEN_NO_SCHEMA,
    }
    assert {base["id"] for base in index["bases"]} == {BASE, SECOND_BASE}
    assert "POST /v0/{base}/{table}/listRecords" in index["api"]
    assert "POST /_emulator/reset" in index["control"]


def test_tokens_are_plainly_not_real(emulator: EmulatorThread) -> None:
    _, index = control(emulator, "GET", "")
    for token in index["tokens"]:
        assert not re.search(r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}", token["token"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "sentence"),
    [
        ("GET", "/nothing", None, 404, "there is no /_emulator/nothing"),
        ("PUT", "/faults", None, 405, "takes GET, POST, DELETE"),
        ("PATCH", "/settings", b"{", 400, "not JSON"),
        ("PATCH", "/settings", b"[]", 400, "must be a JSON object"),
        ("PATCH", "/settings", b'{"speed": 1}', 400, "there is no setting 'speed'"),
        ("POST", "/clock", b"{}", 400, "advance must be"),
        ("GET", "/log?since=x", None, 400, "since must be a whole number"),
        ("PUT", "/state", b"{}", 400, "not a snapshot"),
        ("POST", "/interface", b'{"action": "explode"}', 400, "there is no table"),
    ],
)
def test_wrong_requests_get_a_sentence(
    emulator: EmulatorThread, method: str, path: str, body: bytes | None, status: int, sentence: str
) -> None:
    answered, answer = control(emulator, method, path, content=body)
    assert answered == status
    assert sentence in answer["error"]


def test_the_log_holds_what_arrived(call: Client, emulator: EmulatorThread) -> None:
    call("GET", f"{BASE}/Tasks")
    last = emulator.log()[-1]["number"]
    call("POST", f"{BASE}/Tasks", json={"fields": {"Task": "x"}}, token=TOKEN_ONE_BASE)
    (entry,) = emulator.log(since=last)
    wanted = {
        "method": "POST",
        "path": f"/v0/{BASE}/Tasks",
        "endpoint": "POST /{base}/{table}",
        "base": BASE,
        "table": "Tasks",
        "token": "one-base",
        "status": 200,
        "request_bytes": 23,
        "refused": None,
        "fault": None,
    }
    assert wanted.items() <= entry.items()
    assert entry["response_bytes"] > 50


def test_the_log_holds_as_much_as_it_is_told(call: Client, emulator: EmulatorThread) -> None:
    for _ in range(4):
        call("GET", "meta/whoami")
    emulator.settings(log_entries=2)
    assert [entry["number"] for entry in emulator.log()] == [3, 4]
    call("GET", "meta/whoami")
    assert [entry["number"] for entry in emulator.log()] == [4, 5]


def test_reset_brings_everything_back(call: Client, emulator: EmulatorThread) -> None:
    before = call.rows("Tasks")
    call.data("DELETE", f"{BASE}/Tasks/{before[0]['id']}")
    emulator.fault("status", times=None)
    emulator.settings(penalty=1)
    emulator.advance(1000)
    emulator.reset()
    assert emulator.counters()["arrived"] == 0
    assert emulator.settings()["penalty"] == 30
    assert call.rows("Tasks") == before


def test_a_snapshot_and_back(call: Client, emulator: EmulatorThread) -> None:
    snapshot = emulator.snapshot()
    before = call.rows("Projects")
    call.data("POST", f"{BASE}/Projects", json={"fields": {"Name": "x", "Status": "New"}, "typecast": True})
    emulator.restore(snapshot)
    after = call.rows("Projects")
    assert [without_links(row) for row in after] == [without_links(row) for row in before]
    assert call("POST", f"{BASE}/Projects", json={"fields": {"Status": "New"}}).status_code == 422


def without_links(row: dict[str, Any]) -> dict[str, Any]:
    """The record without attachments, whose links differ each time."""
    return row | {"fields": {name: cell for name, cell in row["fields"].items() if name != "Plans"}}


def test_new_ids_are_the_same_in_every_run(call: Client, emulator: EmulatorThread) -> None:
    def create() -> str:
        emulator.reset()
        return str(call.data("POST", f"{BASE}/Tasks", json={"fields": {"Task": "x"}})["id"])

    assert create() == create()


def test_a_field_that_vanishes_takes_along_what_was_computed_from_it(call: Client, emulator: EmulatorThread) -> None:
    emulator.interface("delete_field", base=BASE, table="Working Hours", field="Hours")
    projects = call.rows("Projects")
    assert all("Total Hours" not in row["fields"] for row in projects)
    tables = {table["name"]: table for table in call.data("GET", f"meta/bases/{BASE}/tables")["tables"]}
    total = next(field for field in tables["Projects"]["fields"] if field["name"] == "Total Hours")
    assert total["options"]["isValid"] is False
    emulator.interface("delete_table", base=BASE, table="Working Hours")
    assert "Working Hours" not in {row["name"] for row in call.data("GET", f"meta/bases/{BASE}/tables")["tables"]}
    assert call("GET", f"{BASE}/Employees").status_code == 200


def test_browsers_may_call_it(emulator: EmulatorThread) -> None:
    answer = httpx2.options(f"{emulator.url}/v0/{BASE}/Tasks", trust_env=False)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "DELETE,GET,OPTIONS,PATCH,POST,PUT"


START = "import typer; from pyairtable_devkit.airtable.server import command; typer.run(command)"


@contextmanager
def started(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The emulator as a process of its own, and the line it prints."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline(), process
    finally:
        process.kill()
        process.communicate()


def test_the_command_says_what_it_is_and_stops_on_a_signal() -> None:
    with started("--port", "0", "--no-limits", "--profile", "realistic") as (line, process):
        assert line.startswith("Airtable EMULATOR (not Airtable) at http://127.0.0.1:")
        assert "latency realistic, limits off" in line
        found = re.search(r"http://[\d.:]+", line)
        assert found is not None
        running = EmulatorControl(found[0])
        assert running.settings()["profile"] == "realistic"
        running.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)


def refused(*arguments: str) -> tuple[int, str]:
    """Exit code and error output of a start that fails."""
    done = subprocess.run([sys.executable, "-c", START, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_a_port_that_is_taken_and_a_seed_that_is_wrong(emulator: EmulatorThread) -> None:
    port = emulator.url.rpartition(":")[2]
    sentence = f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert refused("--port", port) == (1, sentence)
    code, output = refused("--seed", "/nowhere.yaml")
    assert code == 2
    assert output == "error: cannot read the seed /nowhere.yaml: No such file or directory\n"
