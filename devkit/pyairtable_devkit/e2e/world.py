"""What the six lines look at: one running stack, its people, and Airtable past the platform."""

import secrets
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from pyairtable_devkit.demo.airtable import DirectAirtable
from pyairtable_devkit.demo.people import Door, Mailbox, Person
from pyairtable_devkit.demo.platform import StepFailedError
from pyairtable_devkit.parts import program
from pyairtable_devkit.ports import LOOPBACK
from pyairtable_devkit.topology import GEMINI_PORT, MAILBOX_PORT, Plan

COMMAND_SECONDS = 60.0


@dataclass
class World:
    """A stack that is up. `restart` ends every process of it by kill -9 and starts them again."""

    plan: Plan
    restart: Callable[[], None]
    mark: str = field(default_factory=lambda: secrets.token_hex(3))
    """Tells this run's people from those of earlier ones."""

    def __post_init__(self) -> None:
        self.mailbox = Mailbox(f"http://{LOOPBACK}:{self.plan.port(MAILBOX_PORT)}")
        self.gemini = f"http://{LOOPBACK}:{self.plan.port(GEMINI_PORT)}"
        self.airtable = DirectAirtable(self.plan.upstreams)
        self._doors: list[Door] = []

    def close(self) -> None:
        self.mailbox.close()
        self.airtable.close()
        for door in self._doors:
            door.close()

    def door(self, credential: str = "") -> Door:
        """Return the door for whoever shows a credential."""
        door = Door(self.plan.http("api-gateway"), credential)
        self._doors.append(door)
        return door

    def person(self, name: str) -> Person:
        """Return somebody who has no account yet."""
        return Person(f"{name}-{self.mark}@acme.example", name.title(), secrets.token_urlsafe(12))

    def grpc(self, key: str, what: str) -> str:
        """Call a method at the door, or `list` its services, with grpcurl and return what it prints."""
        target = f"{LOOPBACK}:{self.plan.port(9000)}"
        return output([program("grpcurl"), "-plaintext", "-H", f"authorization: Bearer {key}", target, what])

    def mcp(self, key: str, method: str, **params: Any) -> dict[str, Any]:
        """Call the tool server by MCP, as a client that needs no session, and return the result."""
        client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "e2e", "version": "1"}}
        headers = {"authorization": f"Bearer {key}", "accept": "application/json, text/event-stream"}
        with httpx2.Client(base_url=self.plan.http("mcp-server"), headers=headers, trust_env=False, timeout=60) as http:
            began = mcp_call(http, "initialize", client)
            http.headers["mcp-protocol-version"] = str(began["protocolVersion"])
            return mcp_call(http, method, params)


def mcp_call(http: httpx2.Client, method: str, params: Any) -> dict[str, Any]:
    """Send one request; raises StepFailedError for a refusal."""
    response = http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    if session := response.headers.get("mcp-session-id"):
        http.headers["mcp-session-id"] = session
    text = response.text
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        text = next((line[5:] for line in text.splitlines() if line.startswith("data:")), "")
    if response.status_code != httpx2.codes.OK:
        raise StepFailedError(f"MCP {method} answered {response.status_code}: {text[:300]}")
    answer = httpx2.Response(200, text=text).json()
    if "result" not in answer:
        raise StepFailedError(f"MCP {method} failed: {answer.get('error')}")
    return dict(answer["result"])


def output(command: Sequence[str]) -> str:
    """Run a command and return what it prints; raises StepFailedError when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)
    if done.returncode != 0:
        raise StepFailedError(f"{command[0].rpartition('/')[2]} failed: {(done.stderr or done.stdout).strip()[:400]}")
    return done.stdout
