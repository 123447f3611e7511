"""A whole installation in a thread of this process: every service that keeps data of people, over real databases, with
emulators for the mail server, Airtable and Gemini.

In a thread, so that all tests of the package share it whatever loops they have; what they ask goes over gRPC.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import asyncpg
import grpc

from pyairtable_devkit.airtable.testing import TOKEN_ALL, EmulatorThread
from pyairtable_devkit.databases import Postgres, Valkey
from pyairtable_devkit.gemini.testing import GeminiEmulator
from pyairtable_devkit.mailbox.testing import MailboxEmulator
from pyairtable_devkit.ports import free_port
from pyairtable_platform.airtable_gateway import main as airtable_gateway
from pyairtable_platform.auth import main as auth
from pyairtable_platform.common.migrations import migrate_async
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.common.status import from_rpc_error
from pyairtable_platform.common.testing import started
from pyairtable_platform.common.values import dict_to_struct, struct_to_dict
from pyairtable_platform.llm_orchestrator import main as llm_orchestrator
from pyairtable_platform.sagas import main as sagas
from pyairtable_platform.users import main as users
from pyairtable_platform.workspaces import main as workspaces
from pyairtable_protos.airtable.v1 import airtable_gateway_service_pb2, airtable_gateway_service_pb2_grpc
from pyairtable_protos.auth.v1 import (
    account_service_pb2,
    account_service_pb2_grpc,
    auth_service_pb2,
    auth_service_pb2_grpc,
)
from pyairtable_protos.chat.v1 import chat_service_pb2, chat_service_pb2_grpc
from pyairtable_protos.sagas.v1 import saga_service_pb2, saga_service_pb2_grpc
from pyairtable_protos.users.v1 import user_service_pb2, user_service_pb2_grpc
from pyairtable_protos.workspaces.v1 import (
    member_service_pb2,
    member_service_pb2_grpc,
    workspace_service_pb2,
    workspace_service_pb2_grpc,
)

API_KEY = "plainly-not-a-real-api-key"
PASSWORD = "plainly-unreal lilac 47 horizon"
PATIENCE = 120.0
MODULES: dict[str, Any] = {
    "workspaces": workspaces,
    "auth": auth,
    "users": users,
    "airtable-gateway": airtable_gateway,
    "llm-orchestrator": llm_orchestrator,
    "sagas": sagas,
}
STUBS: list[tuple[str, ModuleType, Any]] = [
    ("auth", account_service_pb2, account_service_pb2_grpc.AccountServiceStub),
    ("auth", auth_service_pb2, auth_service_pb2_grpc.AuthServiceStub),
    ("users", user_service_pb2, user_service_pb2_grpc.UserServiceStub),
    ("workspaces", workspace_service_pb2, workspace_service_pb2_grpc.WorkspaceServiceStub),
    ("workspaces", member_service_pb2, member_service_pb2_grpc.MemberServiceStub),
    ("llm-orchestrator", chat_service_pb2, chat_service_pb2_grpc.ChatServiceStub),
    ("sagas", saga_service_pb2, saga_service_pb2_grpc.SagaServiceStub),
    (
        "airtable-gateway",
        airtable_gateway_service_pb2,
        airtable_gateway_service_pb2_grpc.AirtableGatewayServiceStub,
    ),
]
ENDED = ("COMPLETED", "COMPENSATED", "FAILED")


@dataclass
class Caller:
    """Somebody who calls: a peer, or whoever shows a token or key."""

    ports: dict[str, int]
    metadata: tuple[tuple[str, str], ...]

    async def ask(self, rpc: str, *, timeout: float = PATIENCE, **fields: Any) -> Any:
        """Call an RPC by its name; raises our errors."""
        service, module, stub = where(rpc)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.ports[service]}") as channel:
            try:
                method = getattr(stub(channel), rpc)
                request = getattr(module, f"{rpc}Request")(**fields)
                return await method(request, metadata=self.metadata, timeout=timeout)
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error) from error

    async def stream(self, rpc: str, **fields: Any) -> AsyncIterator[Any]:
        """What a streaming RPC answers, until it ends; raises our errors."""
        service, module, stub = where(rpc)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.ports[service]}") as channel:
            request = getattr(module, f"{rpc}Request")(**fields)
            try:
                async for answer in getattr(stub(channel), rpc)(request, metadata=self.metadata, timeout=PATIENCE):
                    yield answer
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error) from error

    async def start(self, saga_type: str, key: str = "", **given: Any) -> tuple[Any, bool]:
        """Start a saga; it, and whether it is new."""
        answer = await self.ask("StartSaga", type=saga_type, input=dict_to_struct(given), idempotency_key=key)
        return answer.saga, answer.started

    async def saga(self, saga_id: str) -> Any:
        return (await self.ask("GetSaga", saga_id=saga_id)).saga

    async def steps(self, saga_id: str) -> dict[str, Any]:
        """The steps of a saga by name."""
        return {step.name: step for step in (await self.ask("ListSteps", saga_id=saga_id)).steps}

    async def end_of(self, saga_id: str) -> Any:
        """The saga when it has ended."""
        async for change in self.stream("WatchSaga", saga_id=saga_id):
            last = change.saga
        assert state_of(last) in ENDED, last
        return last


@dataclass
class Person(Caller):
    """Somebody with an account, who is signed in."""

    name: str = ""
    email: str = ""
    user_id: str = ""
    workspace: str = ""
    refresh_token: str = ""


class Installation:
    """The services, started and stopped one by one."""

    def __init__(self, told: dict[str, Any], ports: dict[str, int], postgres: Postgres, valkey: Valkey) -> None:
        self.ports = ports
        self.postgres = postgres
        self.valkey = valkey
        self.database_url = str(told["database_url"])
        self.mailbox: MailboxEmulator = told.pop("mailbox")
        self.airtable: EmulatorThread = told.pop("airtable")
        self._told = told
        self._people: dict[str, Person] = {}
        self._lives: dict[str, Life] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="installation", daemon=True)
        self._thread.start()

    @property
    def peer(self) -> Caller:
        """A service of this installation."""
        return Caller(self.ports, (("x-api-key", API_KEY),))

    def anybody(self, credential: str = "") -> Caller:
        """Whoever shows a credential, or none."""
        return Caller(self.ports, (("authorization", f"Bearer {credential}"),) if credential else ())

    def start(self, *names: str) -> None:
        """Start services, at once."""
        for name in names:
            settings = MODULES[name].Settings.model_validate({**self._told, "grpc_port": self.ports[name]})
            self._lives[name] = Life(self._loop, MODULES[name].build, settings)
        for name in names:
            self._lives[name].wait_ready()

    def stop(self, name: str) -> None:
        """Stop a service as a signal does, and wait for its end."""
        self._lives.pop(name).end()

    def close(self) -> None:
        for name in reversed(list(self._lives)):
            self.stop(name)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def person(self, name: str, **more: str) -> Person:
        """Somebody who registered, proved their address, was given a workspace and signed in; the same for a name."""
        if name not in self._people:
            self._people[name] = await self._registered(name, **more)
        return self._people[name]

    async def registered(self, name: str, *, email: str = "", display_name: str = "") -> str:
        """Register somebody; the token of the letter."""
        email = email or f"{name}@acme.example"
        await self.anybody().ask(
            "Register", email=email, user_name=name, password=PASSWORD, display_name=display_name or name.title()
        )
        letters = await asyncio.to_thread(self.mailbox.letters, email, wait=PATIENCE)
        found = re.search(r"pyv_[A-Za-z0-9_-]{43}", letters[-1]["text"])
        assert found, letters
        return found[0]

    async def _registered(self, name: str, **more: str) -> Person:
        email = more.get("email") or f"{name}@acme.example"
        token = await self.registered(name, **more)
        user_id = (await self.anybody().ask("VerifyEmail", token=token)).account.user_id
        saga = await self.onboarding_of(user_id)
        assert saga["state"] == "COMPLETED", saga
        workspace = struct_to_dict(await self._output(saga["saga_id"]))["workspace"]
        tokens = (await self.anybody().ask("Login", login=email, password=PASSWORD)).tokens
        metadata = (("authorization", f"Bearer {tokens.access_token}"),)
        return Person(self.ports, metadata, name, email, user_id, workspace, tokens.refresh_token)

    async def _output(self, saga_id: str) -> Any:
        sagas = (await self.peer.ask("ListAllSagas", page_size=1000)).sagas
        return next(saga.output for saga in sagas if saga.saga_id == saga_id)

    async def onboarding_of(self, user_id: str) -> dict[str, Any]:
        """The saga of a new person, when it has ended."""
        query = "SELECT * FROM sagas.sagas WHERE type = 'user_onboarding' AND business_key = $1 "
        query += "AND ended_at IS NOT NULL ORDER BY number"

        async def found() -> list[Any]:
            return await self.rows(query, user_id)

        return dict((await until(found, f"the onboarding of {user_id}"))[0])

    async def join(self, owner: Person, person: Person, role: str, workspace: str = "") -> None:
        """Let an owner invite somebody, who accepts."""
        workspace = workspace or owner.workspace
        made = await owner.ask("CreateInvitation", workspace=workspace, email=person.email, role=role)
        await person.ask("AcceptInvitation", invitation_id=made.invitation.invitation_id)

    async def rows(self, query: str, *values: Any) -> list[Any]:
        """Ask the database itself, past the services and their row security."""
        async with self._database() as connection:
            return list(await connection.fetch(query, *values))

    async def tables(self) -> dict[str, str]:
        """Every table of every schema of ours, as one text each."""
        query = (
            "SELECT table_schema || '.' || table_name AS name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'"
        )
        found = {}
        async with self._database() as connection:
            for name in [row["name"] for row in await connection.fetch(query)]:
                lines = await connection.fetch(f"SELECT t::text AS line FROM {name} AS t")  # noqa: S608
                found[name] = "\n".join(row["line"] for row in lines)
        return found

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Any]:
        connection = await asyncpg.connect(self.database_url, server_settings={"app.workspace": "*"})
        try:
            yield connection
        finally:
            await connection.close()


class Life:
    """A service between its start and its end, in the loop of the installation."""

    def __init__(self, loop: asyncio.AbstractEventLoop, build: Any, settings: Any) -> None:
        self._loop = loop
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._done = asyncio.run_coroutine_threadsafe(self._live(build, settings), loop)

    async def _live(self, build: Any, settings: Any) -> None:
        async with started(build, settings):
            self._ready.set()
            await self._stop.wait()

    def wait_ready(self) -> None:
        ends = time.monotonic() + 2 * PATIENCE
        while not self._ready.wait(0.05):
            if self._done.done():
                self._done.result()
            assert time.monotonic() < ends, "a service did not become ready"

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._done.result(PATIENCE)


def where(rpc: str) -> tuple[str, ModuleType, Any]:
    """The service, the messages and the stub of an RPC."""
    for service, module, stub in STUBS:
        if rpc in next(iter(module.DESCRIPTOR.services_by_name.values())).methods_by_name:
            return service, module, stub
    raise LookupError(rpc)


def state_of(saga: Any) -> str:
    """The state of a saga without its prefix."""
    return str(saga_service_pb2.SagaState.Name(saga.state)).removeprefix("SAGA_STATE_")


async def until(condition: Callable[[], Awaitable[Any]], what: str, seconds: float = PATIENCE) -> Any:
    """Wait for something that happens elsewhere; what the condition returned then."""
    ends = time.monotonic() + seconds
    while not (found := await condition()):
        assert time.monotonic() < ends, f"waited {seconds:.0f} s for {what}"
        await asyncio.sleep(0.05)
    return found


@contextmanager
def running_installation() -> Iterator[Installation]:
    """All services, over databases of their own."""
    with ExitStack() as stack:
        enter: Callable[[AbstractContextManager[Any]], Any] = stack.enter_context
        postgres, valkey = enter(Postgres.start()), enter(Valkey.start())
        mailbox, gemini, airtable = (
            enter(MailboxEmulator()),
            enter(GeminiEmulator()),
            enter(EmulatorThread(limits=False)),
        )
        url = postgres.create_database("flows")
        asyncio.run(migrate_async(DatabaseSettings(database_url=url)))
        ports = {name: free_port() for name in MODULES}
        targets = {f"{name.replace('-', '_')}_target": f"127.0.0.1:{port}" for name, port in ports.items()}
        told: dict[str, Any] = {
            "open_access": False,
            "api_key": API_KEY,
            "jwt_secret": "plainly-not-a-real-secret-of-this-test",
            "http_port": 0,
            "shutdown_delay_seconds": 0,
            "shutdown_grace_seconds": 1,
            "database_url": url,
            "redis_url": valkey.url,
            "smtp_host": mailbox.smtp_host,
            "smtp_port": mailbox.smtp_port,
            "smtp_starttls": False,
            "shared_airtable_token": True,
            "airtable_api_url": airtable.url,
            "airtable_content_url": airtable.url,
            "airtable_token": TOKEN_ALL,
            "airtable_calls_per_second_per_base": 100,
            "airtable_calls_per_second_per_token": 1000,
            "gemini_api_url": gemini.url,
            "gemini_api_key": gemini.key,
            "mcp_tools_enabled": False,
            "executor_id": "sagas-0",
            "mailbox": mailbox,
            "airtable": airtable,
            **targets,
        }
        installation = Installation(told, ports, postgres, valkey)
        stack.callback(installation.close)
        installation.start(*MODULES)
        yield installation
