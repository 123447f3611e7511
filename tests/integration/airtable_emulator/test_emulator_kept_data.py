"""Data in a file: what was confirmed is there after any end of the emulator."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from unit.devkit.support import wait_until

from pyairtable_devkit.airtable.server import create_app
from pyairtable_devkit.airtable.state import StateError
from pyairtable_devkit.airtable.testing import BASE, TOKEN_ALL
from pyairtable_devkit.ports import free_port
from pyairtable_devkit.processes import Child

PROGRAM = Path(sys.executable).with_name("pyairtable-devkit")


@contextmanager
def emulator(folder: Path, ended_by: signal.Signals) -> Iterator[httpx2.Client]:
    """An emulator in a process, ended by a signal."""
    port = free_port()
    command: list[str | Path] = [PROGRAM, "airtable", "--port", str(port), "--keep", str(folder / "airtable.json")]
    child = Child.start("airtable", command, log_path=folder / "log")
    try:
        headers = {"authorization": f"Bearer {TOKEN_ALL}"}
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as http:
            wait_until(lambda: answers(http) or child.exit_code() is not None, seconds=60)
            yield http
    finally:
        child.stop(ask=ended_by)


def answers(http: httpx2.Client) -> bool:
    try:
        return http.get("/_emulator").status_code == 200
    except httpx2.HTTPError:
        return False


def create(http: httpx2.Client, title: str) -> str:
    answer = http.post(f"/v0/{BASE}/Tasks", json={"fields": {"Task": title}})
    return str(answer.raise_for_status().json()["id"])


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_written_is_there_again_and_new_ids_are_new(tmp_path: Path, ended_by: signal.Signals) -> None:
    written: dict[str, str] = {}
    for start in range(3):
        with emulator(tmp_path, ended_by) as http:
            for record, title in written.items():
                assert http.get(f"/v0/{BASE}/Tasks/{record}").json()["fields"]["Task"] == title
            title = f"task of start {start}"
            record = create(http, title)
            assert record not in written
            written[record] = title


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    damaged = tmp_path / "airtable.json"
    damaged.write_text('{"version": 1, "users": ')
    with pytest.raises(StateError, match=r"airtable\.json is damaged.*remove it to begin anew"):
        create_app(kept=damaged)
