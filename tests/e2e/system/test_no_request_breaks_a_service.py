"""schemathesis on every /openapi.json: whatever is sent, no service answers 500."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from integration.demo.running import RunningCommand

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SERVICES = {
    "api-gateway": 8000,
    "mcp-server": 8001,
    "airtable-gateway": 8002,
    "llm-orchestrator": 8003,
    "auth": 8004,
    "users": 8005,
    "workspaces": 8006,
    "sagas": 8008,
}


THE_DOOR = "api-gateway"
"""It has the operations of all the others, each of which is tried to the bounds of its schema where it lives."""


@pytest.mark.parametrize("service", SERVICES)
def test_no_random_request_breaks(system: RunningCommand, service: str) -> None:
    no_request_breaks(system, service, phases="examples,fuzzing", examples=1)


@pytest.mark.parametrize("service", [service for service in SERVICES if service != THE_DOOR])
@pytest.mark.torture
def test_no_request_at_the_bounds_of_the_schema_breaks(system: RunningCommand, service: str) -> None:
    no_request_breaks(system, service, phases="examples,coverage,fuzzing", examples=5)


def no_request_breaks(system: RunningCommand, service: str, *, phases: str, examples: int) -> None:
    """Send requests to all operations of a service, so many random ones to each."""
    url = f"http://127.0.0.1:{SERVICES[service] + system.port_offset}"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"{url}/openapi.json",
            "--checks=not_a_server_error",
            f"--phases={phases}",
            f"--max-examples={examples}",
            "--max-failures=5",
            "--request-timeout=60",
            "--seed=1",
            "--no-color",
            f"--header=Authorization: Bearer {system.key()}",
            # Streams stay open as long as their reader likes, and this reader waits for their end.
            "--exclude-path-regex=/(events|stream)$",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=system.data,
        timeout=580,
    )
    found = done.stdout.partition("= FAILURES =")[2].partition("= WARNINGS =")[0]
    tried = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert tried, done.stdout[-4000:] + done.stderr[-2000:]
    assert not found, found[:8000]
    assert int(tried[2]) > 0
    # The tool counts a request that never became one (bytes that HTTP refuses) as an error of its own; what matters
    # then is that the service is as well as before.
    assert httpx2.get(f"{url}/health", timeout=30).status_code == 200
