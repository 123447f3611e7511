"""A running system for measurements: the stack of `make up` on ports of its own, with settings of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from integration.demo.running import UP, RunningCommand, start

from pyairtable_devkit.databases import PASSWORD, SUPERUSER
from pyairtable_devkit.demo.people import Door, Mailbox, Person
from pyairtable_devkit.topology import DATABASE, MAILBOX_PORT, OWNER, POSTGRES_PORT
from pyairtable_platform.common.channels import ServiceChannel

AIRTABLE_TOKEN = "patEmulatorAll.everything"
BASE_ID = "appAcmeRenovation"
WORKSPACE = "acme"

UNPACED = {
    "AIRTABLE_CALLS_PER_SECOND_PER_BASE": "100",
    "AIRTABLE_CALLS_PER_SECOND_PER_TOKEN": "1000",
    "RATE_LIMIT_RPM": "0",
    "WORKSPACES_PER_PERSON": "10000",
    "INVITATIONS_PER_HOUR": "10000",
}
"""For measuring our own overhead: with Airtable's five a second every figure would be 200 ms."""


@dataclass(frozen=True)
class System:
    """Addresses and people of a running system."""

    command: RunningCommand

    def http(self, port: int) -> str:
        return f"http://127.0.0.1:{port + self.command.port_offset}"

    def grpc(self, port: int) -> str:
        return f"127.0.0.1:{port + self.command.port_offset}"

    @property
    def airtable(self) -> str:
        return self.http(8090)

    @property
    def api_key(self) -> str:
        """What services show each other."""
        return self._secret("api-key")

    @property
    def owner(self) -> Person:
        """Who owns the workspace acme."""
        return Person(OWNER, "Ada Okafor", self._secret("ada-password"))

    @property
    def database_url(self) -> str:
        """The database of all services, as its superuser."""
        port = POSTGRES_PORT + self.command.port_offset
        return f"postgresql://{SUPERUSER}:{PASSWORD}@127.0.0.1:{port}/{DATABASE}"

    def as_peer(self, port: int) -> ServiceChannel:
        """A channel that shows API_KEY, as services have."""
        return ServiceChannel(self.grpc(port), api_key=self.api_key)

    def bearer(self) -> dict[str, str]:
        """Headers, or metadata, of a program of the workspace: an API key of its owner."""
        return {"authorization": f"Bearer {self.command.key()}"}

    def shown(self) -> dict[str, Any]:
        """Arguments of a call over gRPC by such a program."""
        return {"metadata": tuple(self.bearer().items()), "timeout": 30}

    def door(self, credential: str = "") -> Door:
        """The door's REST API for whoever shows a credential."""
        return Door(self.http(8000), credential)

    def mailbox(self) -> Mailbox:
        return Mailbox(self.http(MAILBOX_PORT))

    def _secret(self, file: str) -> str:
        return (self.command.data / "secrets" / file).read_text().strip()


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
