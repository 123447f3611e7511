"""`make demo`: the newcomer's first command, with emulators and with what looks like real credentials."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.demo.running import UP, start
from unit.devkit.support import wait_until

from pyairtable_devkit.airtable.testing import BASE, TOKEN_ALL, EmulatorThread
from pyairtable_devkit.gemini.testing import GeminiEmulator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "devkit"


def test_the_demo_holds_and_leaves_nothing(data: Path) -> None:
    demo = start(data, "demo", "--exit")
    demo.wait_for("1. Health of each service")
    pids = demo.children()
    assert len(pids) >= 9
    code = demo.wait()
    assert code == 0, demo.output
    assert "EMULATORS" in demo.output
    assert "✓ 9 of 9 steps held; first answer" in demo.output
    assert "8 services are healthy" in demo.output
    assert "registered, proved the address with the link of the letter" in demo.output
    assert demo.output.count("cost $") == 4
    assert "\x1b" not in demo.output
    assert demo.has_left_nothing(pids)
    assert not list(data.rglob(".s.PGSQL*"))
    assert not (data / "postgres" / "pgdata" / "postmaster.pid").exists()


@pytest.mark.torture
def test_the_second_start_only_logs_in_and_finds_what_was_there(data: Path) -> None:
    first = start(data, "demo", "--exit")
    assert first.wait() == 0, first.output
    key = first.key()
    again = start(data, "demo", "--exit")
    assert again.wait() == 0, again.output
    assert "registered" not in again.output
    assert "ada@acme.example is logged in as ada" in again.output
    assert "the key of the last start opens acme" in again.output
    assert again.key() == key


@pytest.fixture
def real_services() -> Iterator[dict[str, str]]:
    """Airtable and Gemini that the demo did not start: to it they are the real ones."""
    with EmulatorThread() as airtable, GeminiEmulator() as gemini:
        yield {
            "AIRTABLE_TOKEN": TOKEN_ALL,
            "AIRTABLE_BASE": BASE,
            "AIRTABLE_API_URL": airtable.url,
            "AIRTABLE_CONTENT_URL": airtable.url,
            "GEMINI_API_KEY": gemini.key,
            "GEMINI_API_URL": gemini.url,
        }


@pytest.mark.torture
def test_with_real_credentials_it_writes_when_told_to(data: Path, real_services: dict[str, str]) -> None:
    demo = start(data, "demo", "--exit", "--write", environment=real_services)
    assert demo.wait() == 0, demo.output
    assert "real services" in demo.output
    assert "✓ 9 of 9 steps held" in demo.output
    assert "emulator " not in demo.output  # as the name of a process


def test_with_real_credentials_it_only_reads_and_a_wrong_answer_fails_it(
    data: Path, real_services: dict[str, str]
) -> None:
    script = "turns: [{replies: [{text: Your base has no tables at all.}], repeat: true}]"
    with GeminiEmulator(script=script) as liar:
        demo = start(data, "demo", "--exit", environment={**real_services, "GEMINI_API_URL": liar.url})
        assert demo.wait() == 1, demo.output
    assert "creating and updating are left out; --write includes them" in demo.output
    assert "✗ 5 of 7 steps held" in demo.output


def test_after_kill_9_of_everything_a_second_start_works_and_tells_of_a_lost_service(data: Path) -> None:
    first = start(data, "up")
    first.wait_for(UP)
    pids = first.children()
    for pid in [*pids, first.process.pid]:
        with contextlib.suppress(ProcessLookupError):  # the end of one may have taken it along
            os.kill(pid, signal.SIGKILL)
    first.wait()
    wait_until(lambda: first.has_left_nothing(pids))

    again = start(data, "up", port_offset=first.port_offset)
    again.wait_for(UP)
    pids = again.children()
    os.kill(again.child("mcp-server"), signal.SIGKILL)
    assert again.wait() == 1
    assert f"mcp-server was ended by signal {signal.SIGKILL.value}" in again.output
    assert again.has_left_nothing(pids)
