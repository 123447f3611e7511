"""Faults as a client meets them: errors, silence, cut and reset connections."""

from typing import Any

import httpx2
import pytest

from pyairtable_devkit.airtable.testing import BASE, EmulatorThread

from .conftest import Client

TASKS = f"{BASE}/Tasks"


def count(call: Client) -> int:
    return len(call.rows("Tasks"))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, '{"errors":[{"error":"RATE_LIMIT_REACHED","message":"Rate limit exceeded. Please try again later"}]}'),
        (500, '{"error":{"type":"SERVER_ERROR","message":"Server error"}}'),
        (502, ""),
        (
            503,
            '{"error":{"type":"RETRIABLE_ERROR","message":"Server encountered an error while processing your request, '
            'and it is safe to retry the request"}}',
        ),
    ],
)
def test_a_status_instead_of_the_call(call: Client, emulator: EmulatorThread, status: int, body: str) -> None:
    before = count(call)
    emulator.fault("status", status=status, match={"method": "POST"}, retry_after=7)
    answer = call("POST", TASKS, json={"fields": {"Task": "x"}})
    assert (answer.status_code, answer.text) == (status, body)
    assert answer.headers["retry-after"] == "7"
    assert count(call) == before
    assert call("POST", TASKS, json={"fields": {"Task": "x"}}).status_code == 200


@pytest.mark.parametrize(
    ("kind", "written", "error"),
    [
        ("timeout_before", 0, httpx2.ReadTimeout),
        ("timeout_after", 1, httpx2.ReadTimeout),
        ("reset", 0, httpx2.ReadError),
        ("reset_after", 1, httpx2.ReadError),
        ("cut_body", 1, httpx2.RemoteProtocolError),
    ],
)
def test_answers_that_never_come(
    call: Client, emulator: EmulatorThread, kind: str, written: int, error: type[Exception]
) -> None:
    before = count(call)
    emulator.fault(kind, match={"method": "POST"})
    with pytest.raises(error):
        call("POST", TASKS, json={"fields": {"Task": "x" * 50}}, timeout=2)
    assert count(call) == before + written
    assert emulator.counters()["faults"] == {kind: 1}


def test_silence_ends_by_itself(call: Client, emulator: EmulatorThread) -> None:
    emulator.fault("timeout_before", seconds=0.1)
    with pytest.raises(httpx2.RemoteProtocolError):
        call("GET", TASKS)
    assert emulator.log()[-1]["status"] is None
    assert emulator.log()[-1]["fault"] == "timeout_before"


def test_an_expired_cursor(call: Client, emulator: EmulatorThread) -> None:
    offset = call.data("GET", TASKS, params={"pageSize": 10})["offset"]
    emulator.fault("expired_cursor")
    answer = call("GET", TASKS, params={"offset": offset})
    assert answer.json() == {"error": {"type": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}}
    assert call("GET", TASKS).status_code == 200


def test_a_fault_for_one_table_by_name_reached_by_id(call: Client, emulator: EmulatorThread) -> None:
    tables = {table["name"]: table["id"] for table in call.data("GET", f"meta/bases/{BASE}/tables")["tables"]}
    emulator.fault("status", match={"table": "Tasks"}, times=None)
    assert call("GET", f"{BASE}/{tables['Tasks']}").status_code == 503
    assert call("GET", f"{BASE}/{tables['Projects']}").status_code == 200
    emulator.clear_faults()
    assert call("GET", TASKS).status_code == 200


def test_the_emulator_lives_on_after_many_faults(call: Client, emulator: EmulatorThread) -> None:
    emulator.fault("reset", times=None, probability=0.5)
    outcomes: list[Any] = []
    for _ in range(30):
        try:
            outcomes.append(call("GET", TASKS).status_code)
        except httpx2.TransportError:
            outcomes.append(None)
    assert {None, 200} == set(outcomes)
    emulator.clear_faults()
    assert call("GET", TASKS).status_code == 200


@pytest.mark.parametrize("body", [{"kind": "sulk"}, {"kind": "status", "status": 404}])
def test_faults_that_make_no_sense_are_refused(emulator: EmulatorThread, body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="400"):
        emulator.fault(**body)
