"""A running system for measurements: the stack of `make up` on ports of its own, with settings of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from integration.demo.running import UP, RunningCommand, start

AIRTABLE_TOKEN = "patEmulatorAll.everything"
BASE_ID = "appAcmeRenovation"

UNPACED = {"AIRTABLE_CALLS_PER_SECOND_PER_BASE": "100", "AIRTABLE_CALLS_PER_SECOND_PER_TOKEN": "1000"}
"""For measuring our own overhead: with Airtable's five a second every figure would be 200 ms."""


@dataclass(frozen=True)
class System:
    """Addresses of a running system."""

    command: RunningCommand

    def http(self, port: int) -> str:
        return f"http://127.0.0.1:{port + self.command.port_offset}"

    def grpc(self, port: int) -> str:
        return f"127.0.0.1:{port + self.command.port_offset}"

    @property
    def airtable(self) -> str:
        return self.http(8090)


@contextmanager
def running_system(environment: Mapping[str, str] | None = None) -> Iterator[System]:
    """The whole system with zero-latency emulators, whose limits are off."""
    with tempfile.TemporaryDirectory() as folder:
        # The database runs as a user of its own, who must be able to come in.
        Path(folder).chmod(0o755)
        command = start(Path(folder), "up", environment=environment)
        try:
            command.wait_for(UP)
            system = System(command)
            httpx2.patch(f"{system.airtable}/_emulator/settings", json={"limits": False}).raise_for_status()
            yield system
        finally:
            command.interrupt()
