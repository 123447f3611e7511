"""One running system, started as `make up` does, for all tests of this folder: use names of your own.

It has no limits of calls: where requests are looked for that break, none should wait.
"""

from collections.abc import Iterator

import httpx2
import pytest
from integration.demo.running import UP, RunningCommand, start

UNLIMITED = {
    "RATE_LIMIT_RPM": "1000000",
    "PUBLIC_RATE_LIMIT_RPM": "1000000",
    "AIRTABLE_CALLS_PER_SECOND_PER_BASE": "100",
    "AIRTABLE_CALLS_PER_SECOND_PER_TOKEN": "1000",
}


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCommand]:
    """The whole system on ports of its own; Ctrl-C must end it cleanly."""
    running = start(tmp_path_factory.mktemp("system"), "up", environment=UNLIMITED)
    try:
        running.wait_for(UP)
        pids = running.children()
        emulator = f"http://127.0.0.1:{8090 + running.port_offset}"
        httpx2.patch(f"{emulator}/_emulator/settings", json={"limits": False}).raise_for_status()
        yield running
    finally:
        code = running.interrupt()
    assert code == 0, running.output
    assert running.has_left_nothing(pids)
