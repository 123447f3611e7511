"""Saga services in processes of their own, over a PostgreSQL, and the services they call as a double with a ledger."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from pyairtable_devkit.databases import Postgres
from pyairtable_devkit.ports import free_port
from pyairtable_devkit.processes import Child
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.errors import PyAirtableError
from pyairtable_platform.common.migrations import migrate_async
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.common.values import dict_to_struct
from pyairtable_protos.sagas.v1 import saga_service_pb2 as rpc
from pyairtable_protos.sagas.v1 import saga_service_pb2_grpc

HERE = Path(__file__).parent
PATIENCE = 60.0
ENDED = (rpc.SAGA_STATE_COMPLETED, rpc.SAGA_STATE_COMPENSATED, rpc.SAGA_STATE_FAILED)
TARGETS = ("auth_target", "users_target", "workspaces_target", "airtable_gateway_target", "llm_orchestrator_target")
_numbers = itertools.count(1)


class Nursery:
    """The process that forks saga services."""

    def __init__(self) -> None:
        command = [sys.executable, str(HERE / "nursery.py")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._answer() == "ready", "the nursery did not start"

    def start(self, settings: dict[str, Any], log: Path) -> int:
        """Start a service; its pid."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"settings": settings, "log": str(log)}) + "\n")
        self._process.stdin.flush()
        return int(self._answer())

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@dataclass
class Service:
    """One life of a replica."""

    pid: int
    target: str
    log: Path

    def is_alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.is_alive():
            os.kill(self.pid, number)

    async def gone(self) -> None:
        """Wait until the process is no more."""
        await until(lambda: not self.is_alive(), f"process {self.pid} to end")


@dataclass
class Place:
    """A database, a double of the other services, and any number of replicas."""

    nursery: Nursery
    folder: Path
    database_url: str
    receivers_port: int = 0
    receivers: Child | None = None
    services: list[Service] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)

    def start_receivers(self) -> None:
        """Start the double, again where it was."""
        self.receivers_port = self.receivers_port or free_port()
        command = [sys.executable, str(HERE / "receivers.py"), str(self.folder), str(self.receivers_port)]
        self.receivers = Child.start("receivers", command, log_path=self.folder / "receivers.log")

    def kill_receivers(self) -> None:
        assert self.receivers is not None
        self.receivers.kill()

    def start(self, name: str = "sagas-0", **changes: Any) -> Service:
        """Start a life of a replica."""
        port = self.ports.setdefault(name, free_port())
        others = f"127.0.0.1:{self.receivers_port}"
        settings = {
            "http_port": 0,
            "grpc_port": port,
            "database_url": self.database_url,
            "redis_url": "redis://127.0.0.1:1/0",
            "executor_id": name,
            "lease_seconds": 5.0,
            "shutdown_delay_seconds": 0,
            "shutdown_grace_seconds": 1,
            **dict.fromkeys(
                (
                    "auth_target",
                    "users_target",
                    "workspaces_target",
                    "airtable_gateway_target",
                    "llm_orchestrator_target",
                ),
                others,
            ),
            **changes,
        }
        log = self.folder / f"{name}-{len(self.services)}.log"
        service = Service(self.nursery.start(settings, log), f"127.0.0.1:{port}", log)
        self.services.append(service)
        return service

    def ledger(self, event: str = "") -> list[dict[str, Any]]:
        """What the double was asked for and did."""
        file = self.folder / "ledger.jsonl"
        entries = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [entry for entry in entries if event in ("", entry["event"])]

    async def ask(self, query: str, *values: Any) -> list[Any]:
        """Ask the database itself, past the service."""
        connection = await asyncpg.connect(self.database_url)
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()

    async def state(self, saga_id: str) -> str:
        """The state of a saga; empty for one that is not there."""
        rows = await self.ask("SELECT state FROM sagas.sagas WHERE saga_id = $1", saga_id)
        return str(rows[0]["state"]) if rows else ""

    async def ended(self, saga_id: str) -> None:
        """Wait until a saga has ended."""
        ends = time.monotonic() + PATIENCE
        while await self.state(saga_id) not in ("COMPLETED", "COMPENSATED", "FAILED"):
            if time.monotonic() > ends:
                columns = "saga_id, state, current_step, executor, claim, run, is_queued, error"
                rows = await self.ask(f"SELECT {columns} FROM sagas.sagas")  # noqa: S608
                flows = await self.ask("SELECT workflow_uuid, status, executor_id FROM sagas_dbos.workflow_status")
                raise AssertionError(f"saga {saga_id} did not end: {rows} {flows}")
            await asyncio.sleep(0.03)

    def fault(self, **faults: dict[str, Any]) -> None:
        """What the double shall answer instead, by RPC."""
        (self.folder / "faults.json").write_text(json.dumps(faults))

    async def close(self) -> None:
        for service in self.services:
            service.kill(signal.SIGCONT)
            service.kill()
        for service in self.services:
            await service.gone()
        if self.receivers is not None:
            self.receivers.stop()


class Caller:
    """A peer that calls a replica, and comes again while it is not there."""

    def __init__(self, channel: ServiceChannel) -> None:
        self.channel = channel
        self.stub: Any = saga_service_pb2_grpc.SagaServiceStub(channel.channel)

    async def patiently(self, method: str, request: Any) -> Any:
        """Call until there is an answer. Every call that is repeated has a key or only looks."""
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                return await self.channel.call(getattr(self.stub, method), request, timeout=10)
            except PyAirtableError as error:
                if time.monotonic() > ends or error.reason not in ("DEPENDENCY_UNAVAILABLE", "DEADLINE"):
                    raise
            await asyncio.sleep(0.05)

    async def start(self, saga_type: str, given: dict[str, Any], key: str, **more: Any) -> Any:
        request = rpc.StartSagaForRequest(type=saga_type, input=dict_to_struct(given), idempotency_key=key, **more)
        return (await self.patiently("StartSagaFor", request)).saga

    async def get(self, saga_id: str) -> Any:
        """A saga; peers see it in the list of all."""
        answer = await self.patiently("ListAllSagas", rpc.ListAllSagasRequest(page_size=1000))
        return next(saga for saga in answer.sagas if saga.saga_id == saga_id)

    async def end_of(self, saga_id: str, seconds: float = PATIENCE) -> Any:
        """The saga when it has ended."""
        ends = time.monotonic() + seconds
        while True:
            saga = await self.get(saga_id)
            if saga.state in ENDED:
                return saga
            assert time.monotonic() < ends, f"it did not end: {saga}"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def caller_of(service: Service) -> AsyncIterator[Caller]:
    async with ServiceChannel(service.target) as channel:
        yield Caller(channel)


async def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something that happens elsewhere."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"waited {seconds:.0f} s for {what}"
        await asyncio.sleep(0.02)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres.start() as server:
        url = server.create_database("sagas_template")
        asyncio.run(migrate_async(DatabaseSettings(database_url=url), ("sagas",)))  # type: ignore[arg-type]
        yield server


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    name = f"sagas_{next(_numbers)}"
    yield postgres.create_database(name, template="sagas_template")
    postgres.drop_database(name)


@pytest.fixture
async def place(nursery: Nursery, database_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(nursery, tmp_path, database_url)
    place.start_receivers()
    yield place
    await place.close()


def logged(service: Service, pattern: str) -> int:
    """How often a pattern stands in a service's log."""
    return len(re.findall(pattern, service.log.read_text())) if service.log.exists() else 0
