"""The whole system as processes, started the way a newcomer starts it, on ports of its own."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from unit.devkit.support import REPOSITORY, is_gone, wait_until

from pyairtable_devkit import topology
from pyairtable_devkit.ports import is_free

DEVKIT = Path(sys.executable).with_name("pyairtable-devkit")
UP = "Everything stays up"


@dataclass
class RunningCommand:
    """A `pyairtable-devkit` command in a process of its own, with all it has printed so far."""

    process: subprocess.Popen[str]
    port_offset: int
    data: Path
    _lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            self._lines.extend(stdout)

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.output or self.process.poll() is not None, seconds=400)
        assert text in self.output, self.output

    def wait(self) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(400)
        self._reader.join(10)
        return code

    def children(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]

    def child(self, name: str) -> int:
        """Return the process of a service by the last word of its command."""
        children = psutil.Process(self.process.pid).children()
        return next(int(child.pid) for child in children if child.cmdline()[-1] == name)

    def interrupt(self) -> int:
        """Ctrl-C; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def ports(self) -> list[int]:
        plan = topology.Plan(self.data, self.data, topology.emulators(), {}, self.port_offset)
        return [port for part in topology.parts(plan) for port in part.ports]

    def has_left_nothing(self, pids: list[int]) -> bool:
        return all(map(is_gone, pids)) and all(map(is_free, self.ports()))

    def script_environment(self) -> dict[str, str]:
        """What scripts/*.sh need to find this stack."""
        ports = {
            "API_GATEWAY_PORT": 8000,
            "MCP_SERVER_PORT": 8001,
            "AIRTABLE_GATEWAY_PORT": 8002,
            "LLM_ORCHESTRATOR_PORT": 8003,
            "AUTH_PORT": 8004,
            "USERS_PORT": 8005,
            "WORKSPACES_PORT": 8006,
            "SAGAS_PORT": 8008,
        }
        moved = {name: str(port + self.port_offset) for name, port in ports.items()}
        return {"PATH": os.environ["PATH"], "PYAIRTABLE_API_KEY": self.key(), **moved}

    def key(self) -> str:
        """The API key that the stack wrote for commands."""
        written = re.search(r"PYAIRTABLE_API_KEY=(\S+)", (self.data / "demo.env").read_text())
        assert written
        return written[1]

    def moved(self, command: str) -> str:
        """Return a documented command with this stack's ports and files in place of the usual ones."""
        command = command.replace(".devkit/", f"{self.data}/")
        return re.sub(r"localhost:(\d+)", lambda found: f"localhost:{int(found[1]) + self.port_offset}", command)


def free_offset() -> int:
    """Return an offset at which every port of the stack is free, below the range of outgoing connections."""
    while True:
        offset = random.randrange(10_000, 16_000)
        plan = topology.Plan(Path(), Path(), topology.emulators(offset), {}, offset)
        if all(is_free(port) for part in topology.parts(plan) for port in part.ports):
            return offset


def start(
    data: Path, *arguments: str, port_offset: int | None = None, environment: Mapping[str, str] | None = None
) -> RunningCommand:
    """Start a command of the devkit in the repository's root, without credentials of the caller's."""
    offset = free_offset() if port_offset is None else port_offset
    private = ("AIRTABLE_", "GEMINI_", "API_KEY", "DATABASE_URL", "REDIS_", "OPEN_ACCESS", "JWT_SECRET", "PYAIRTABLE_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(private)}
    process = subprocess.Popen(
        [DEVKIT, *arguments, "--data", str(data), "--port-offset", str(offset)],
        cwd=REPOSITORY,
        env={**inherited, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return RunningCommand(process, offset, data)
