"""Each image is started as a node starts it: read-only root, an account without rights, no capability."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

import httpx2
import pytest
from images.conftest import Start
from images.container import Container, Unpacked

from pyairtable_devkit.databases import PASSWORD, SUPERUSER
from pyairtable_devkit.images import plan
from pyairtable_devkit.ports import free_port

Answer = TypeVar("Answer")

NAMES = pytest.mark.parametrize("name", plan.NAMES)
SERVICES = ("api-gateway", "mcp-server", "airtable-gateway", "llm-orchestrator", "auth", "users", "workspaces", "sagas")
LOOK = """
import json, os, pathlib
def writes(path):
    try:
        pathlib.Path(path, "x").write_text("x")
        return True
    except OSError as error:
        return error.strerror
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
seen = {"uid": os.getuid(), "gid": os.getgid(), "home": os.path.expanduser("~")}
seen["capabilities"] = status["CapEff"].strip() + status["CapBnd"].strip()
seen["writes"] = {path: writes(path) for path in ("/", "/opt", "/tmp", "/data")}
print(json.dumps(seen))
"""
SECONDS = 300.0  # on a busy machine; a test ends as soon as it can


@NAMES
def test_it_is_nobody_and_can_write_nothing(start: Start, name: str) -> None:
    ended = start(name, ["python", "-c", LOOK]).wait(SECONDS)
    assert ended.code == 0, ended.output
    seen = json.loads(ended.output)
    read_only = "Read-only file system"
    assert seen["writes"] == {"/": read_only, "/opt": read_only, "/tmp": True, "/data": True}  # noqa: S108
    assert (seen["uid"], seen["gid"], seen["home"]) == (10001, 10001, "/tmp")  # noqa: S108
    assert set(seen["capabilities"]) == {"0"}


@NAMES
def test_nothing_can_be_installed(start: Start, name: str) -> None:
    for module in ("pip", "ensurepip"):
        ended = start(name, ["python", "-m", module, "--version"]).wait(SECONDS)
        assert (ended.code, f"No module named {module}" in ended.output) == (1, True), ended.output


@pytest.mark.parametrize(
    ("name", "arguments", "code", "words"),
    [
        ("services", ["--help"], 0, "Run one service"),
        ("services", ["version"], 0, "0.1.0"),
        ("devkit", ["--help"], 0, "mailbox"),
        ("operator", [], 1, "the Kubernetes API cannot be configured"),
    ],
)
def test_the_entry_point_answers(
    start: Start, unpacked: Mapping[str, Unpacked], name: str, arguments: list[str], code: int, words: str
) -> None:
    entry_point = unpacked[name].config["Entrypoint"]
    environment = {"API_KEY": "not-a-real-key-of-anybody"}
    ended = start(name, [*entry_point, *arguments], environment).wait(SECONDS)
    assert ended.code == code, ended.output
    assert words in ended.output


@pytest.mark.parametrize("emulator", ["airtable", "gemini", "mailbox"])
def test_an_emulator_answers(start: Start, emulator: str) -> None:
    port = free_port()
    more = ["--smtp-port", str(free_port())] if emulator == "mailbox" else []
    running = start("devkit", ["pyairtable-devkit", emulator, "--port", str(port), *more])
    answer = _wait_for(running, lambda: httpx2.get(f"http://127.0.0.1:{port}/_emulator", timeout=5))
    assert answer.status_code == 200
    assert running.stop() == 0, running.output


def test_every_service_is_healthy_on_databases_from_the_devkits_image(start: Start) -> None:
    """In the chart's order: databases, migrations, services. What a service says of its peers does not count here."""
    postgres, valkey = free_port(), free_port()
    databases = {
        name: start("devkit", ["pyairtable-devkit", name, "--port", str(port), "--data", "/data"])
        for name, port in (("postgres", postgres), ("valkey", valkey))
    }
    environment = {
        "API_KEY": "not-a-real-key-of-anybody",
        "JWT_SECRET": "not-a-real-secret-of-anybody-at-all",
        "DATABASE_URL": f"postgresql://{SUPERUSER}:{PASSWORD}@127.0.0.1:{postgres}/postgres",
        "REDIS_URL": f"redis://127.0.0.1:{valkey}/0",
        "EXECUTOR_ID": "images-0",
    }
    for name, port in (("postgres", postgres), ("valkey", valkey)):
        _wait_for(databases[name], partial(_listens, port))
    migrated = start("services", ["pyairtable-platform", "migrate"], environment).wait(SECONDS)
    assert migrated.code == 0, migrated.output
    for service in SERVICES:
        _is_healthy(start, service, environment)
    assert all(database.stop() == 0 for database in databases.values())


def _is_healthy(start: Start, service: str, environment: Mapping[str, str]) -> None:
    port = free_port()
    ports = {"HTTP_PORT": str(port), "GRPC_PORT": str(free_port())}
    running = start("services", ["pyairtable-platform", "serve", service], {**environment, **ports})
    told = _wait_for(running, lambda: httpx2.get(f"http://127.0.0.1:{port}/health", timeout=5).json())
    own = {name: check for name, check in told["checks"].items() if name in ("postgres", "redis", "engine")}
    assert told["service"] == service
    assert {check["status"] for check in own.values()} <= {"healthy"}, told
    assert running.stop() == 0, running.output


def _wait_for(running: Container, question: Callable[[], Answer]) -> Answer:
    """Ask until there is an answer; the container has to run meanwhile."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert running.running, running.output
        try:
            return question()
        except (OSError, httpx2.HTTPError):
            time.sleep(0.1)
    raise AssertionError(f"No answer within {SECONDS:.0f} s:\n{running.output}")


def _listens(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
