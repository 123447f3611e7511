"""Saga services in processes of their own, over a database, and the services they call as a double with a ledger."""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from integration.sagas.kill.supervision import REFUSED, Send, Watch

from pyairtable_devkit.databases import PASSWORD, SUPERUSER, Postgres
from pyairtable_devkit.ports import free_port
from pyairtable_platform.common.channels import ServiceChannel
from pyairtable_platform.common.database import open_engine
from pyairtable_platform.common.errors import PyAirtableError
from pyairtable_platform.common.migrations import migrate_async
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.common.values import dict_to_struct
from pyairtable_platform.sagas.store import SagaStore
from pyairtable_protos.sagas.v1 import saga_service_pb2 as rpc
from pyairtable_protos.sagas.v1 import saga_service_pb2_grpc

HERE = Path(__file__).parent
PATIENCE = 60.0
LONG_PATIENCE = 240.0
"""For a saga whose service, or database, begins again on the way, while a machine has other things to do."""
ENDED = (rpc.SAGA_STATE_COMPLETED, rpc.SAGA_STATE_COMPENSATED, rpc.SAGA_STATE_FAILED)
TARGETS = ("auth_target", "users_target", "workspaces_target", "airtable_gateway_target", "llm_orchestrator_target")
_ROW = "SELECT saga_id, state, current_step, executor, claim, run, is_queued, error FROM sagas.sagas WHERE saga_id = $1"
_FLOWS = "SELECT workflow_uuid, status, executor_id FROM sagas_dbos.workflow_status WHERE workflow_uuid LIKE $1 || '.%'"


class Nursery:
    """The process that forks saga services, and doubles of what they call."""

    def __init__(self) -> None:
        command = [sys.executable, str(HERE / "nursery.py")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._answer() == "ready", "the nursery did not start"

    def start(self, order: dict[str, Any]) -> tuple[int, int]:
        """Start what an order of nursery.py says; its pid, and the number of the file at which it asks."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        pid, number = self._answer().split()
        return int(pid), int(number)

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
    """One life of a replica, or of the double."""

    pid: int
    target: str
    log: Path
    watch: Watch | None = None

    def __post_init__(self) -> None:
        try:
            self._handle = os.pidfd_open(self.pid)  # numbers of processes come again in a long sweep
        except ProcessLookupError:
            self._handle = -1

    def is_alive(self) -> bool:
        if self._handle >= 0:
            poll = select.poll()
            poll.register(self._handle, select.POLLIN)
            if not poll.poll(0):
                return True
            os.close(self._handle)
            self._handle = -1
        return False

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.is_alive():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def is_ready(self) -> bool:
        return logged(self, '"ready"') > 0

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
    receivers: Service | None = None
    services: list[Service] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    _connection: Any = None

    def start_receivers(self) -> None:
        """Start the double, again where it was."""
        self.receivers_port = self.receivers_port or free_port()
        log = self.folder / "receivers.log"
        order = {"receivers": [str(self.folder), self.receivers_port], "log": str(log)}
        self.receivers = Service(self.nursery.start(order)[0], f"127.0.0.1:{self.receivers_port}", log)

    async def kill_receivers(self) -> None:
        assert self.receivers is not None
        self.receivers.kill()
        await self.receivers.gone()

    def start(
        self, name: str = "sagas-0", before_send: Callable[[Send], None] | None = None, **changes: Any
    ) -> Service:
        """Start a life of a replica; `before_send` is asked before each of its sends."""
        port = self.port_of(name)
        settings = {
            "http_port": 0,
            "grpc_port": port,
            "database_url": self.database_url,
            "redis_url": "redis://127.0.0.1:1/0",
            "executor_id": name,
            "lease_seconds": 5.0,
            "shutdown_delay_seconds": 0,
            "shutdown_grace_seconds": 1,
            **dict.fromkeys(TARGETS, f"127.0.0.1:{self.receivers_port}"),
            **changes,
        }
        log = self.folder / f"{name}-{len(self.services)}.log"
        order = {"settings": settings, "log": str(log), "is_watched": before_send is not None}
        pid, number = self.nursery.start(order)
        if number == REFUSED:
            raise OSError(log.read_text())
        watch = Watch(pid, number, before_send) if before_send is not None else None
        service = Service(pid, f"127.0.0.1:{port}", log, watch)
        self.services.append(service)
        return service

    def port_of(self, name: str) -> int:
        """Where a replica listens, in all its lives."""
        return self.ports.setdefault(name, free_port())

    def ledger(self, event: str = "", begin: int = 0) -> list[dict[str, Any]]:
        """What the double was asked for and did; from a size of the ledger on."""
        if not self._ledger_file.exists():
            return []
        with self._ledger_file.open() as file:
            file.seek(begin)
            entries = [json.loads(line) for line in file]
        return [entry for entry in entries if event in ("", entry["event"])]

    def ledger_size(self) -> int:
        """How much is in the ledger by now."""
        return self._ledger_file.stat().st_size if self._ledger_file.exists() else 0

    @property
    def _ledger_file(self) -> Path:
        return self.folder / "ledger.jsonl"

    async def ask(self, query: str, *values: Any) -> list[Any]:
        """Ask the database itself, past the service."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self.database_url)
        return list(await self._connection.fetch(query, *values))

    def forget_connection(self) -> None:
        """The database was killed."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None

    async def state(self, saga_id: str) -> str:
        """The state of a saga; empty for one that is not there."""
        rows = await self.ask("SELECT state FROM sagas.sagas WHERE saga_id = $1", saga_id)
        return str(rows[0]["state"]) if rows else ""

    async def ended(self, saga_id: str) -> None:
        """Wait until a saga has ended."""
        ends = time.monotonic() + PATIENCE
        while await self.state(saga_id) not in ("COMPLETED", "COMPENSATED", "FAILED"):
            if time.monotonic() > ends:
                raise AssertionError(f"saga {saga_id} did not end: {await self.all_of(saga_id)}")
            await asyncio.sleep(0.02)

    async def all_of(self, saga_id: str) -> list[Any]:
        """What database and engine know of a saga, for a message."""
        return [*(await self.ask(_ROW, saga_id)), *(await self.ask(_FLOWS, saga_id))]

    async def resume(self, saga_id: str) -> None:
        """Let a saga that failed go on, as ResumeSaga does it; a live replica finds it within seconds."""
        engine = open_engine(DatabaseSettings.model_validate({"database_url": self.database_url}), "sagas")
        try:
            await SagaStore(engine).resume(saga_id)
        finally:
            await engine.dispose()

    def fault(self, **faults: Any) -> None:
        """What the double shall answer instead (receivers.py)."""
        draft = self.folder / "faults.new"
        draft.write_text(json.dumps(faults))
        draft.rename(self.folder / "faults.json")

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        for service in self.services:
            service.kill(signal.SIGCONT)
            service.kill()
        for service in self.services:
            await service.gone()
        if self.receivers is not None:
            await self.kill_receivers()


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


@contextmanager
def prepared_postgres() -> Iterator[Postgres]:
    """A server with the template `sagas_template`."""
    with Postgres.start() as server:
        # Logging in costs as much as a saga else, and each life logs in a dozen times.
        server.execute(f"SET scram_iterations = 1; ALTER ROLE {SUPERUSER} PASSWORD '{PASSWORD}'")
        url = server.create_database("sagas_template")
        settings = DatabaseSettings.model_validate({"database_url": url})
        with ThreadPoolExecutor(1) as apart:  # whoever asks may run a loop
            apart.submit(asyncio.run, migrate_async(settings, ("sagas",))).result()
        yield server


async def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something that happens elsewhere."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"waited {seconds:.0f} s for {what}"
        await asyncio.sleep(0.02)


def logged(service: Service, pattern: str) -> int:
    """How often a pattern stands in a service's log."""
    return len(re.findall(pattern, service.log.read_text())) if service.log.exists() else 0
