"""People see their own chats only; keys and peers share those that are nobody's. One person's are told and erased."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pyairtable_platform.common import context
from pyairtable_platform.common.context import CallContext
from pyairtable_platform.common.database import EVERY_WORKSPACE, NO_WORKSPACE, open_engine, transaction
from pyairtable_platform.common.errors import Denied, FailedPrecondition, InvalidInput, NotFound, QuotaExhausted, Reason
from pyairtable_platform.common.identity import Identity
from pyairtable_platform.common.migrations import migrate_async
from pyairtable_platform.common.roles import scope_of
from pyairtable_platform.common.self_service import Bounds
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.common.values import struct_to_dict
from pyairtable_platform.common.wakeups import Wakeups
from pyairtable_platform.common.workspace import Workspace, from_message
from pyairtable_platform.llm_orchestrator.entities import Lease, NewRun, Whose
from pyairtable_platform.llm_orchestrator.follow import LogReader
from pyairtable_platform.llm_orchestrator.ports import Asker, Cost, LeaseLost
from pyairtable_platform.llm_orchestrator.service import Ask, ChatService, Defaults
from pyairtable_platform.llm_orchestrator.spending import Spending
from pyairtable_platform.llm_orchestrator.store.journal import RunJournal
from pyairtable_platform.llm_orchestrator.store.leases import LeaseStore
from pyairtable_platform.llm_orchestrator.store.people import PeopleStore
from pyairtable_platform.llm_orchestrator.store.runs import RunStore
from pyairtable_platform.llm_orchestrator.store.sessions import SessionStore
from pyairtable_protos.common.v1 import person_data_pb2, person_data_pb2_grpc
from pyairtable_protos.workspaces.v1 import workspace_pb2

ADA, BOB = "a" * 32, "b" * 32
KEY = "access-key:k1"


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    opened = open_engine(DatabaseSettings.model_validate({"database_url": database_url}), "llm_orchestrator")
    yield opened
    await opened.dispose()


@contextmanager
def called_by(principal: str, session: str = "login:l1", role: str = "editor") -> Iterator[None]:
    scope = frozenset(scope_of(role).split())
    identity = Identity(principal, "acme", role, scope, 9e9, "", session=session)
    with context.entered(CallContext(request_id="r", workspace="acme", identity=identity)):
        yield


def workspace(name: str) -> Workspace:
    return from_message(workspace_pb2.Workspace(name=name, made_by_call=name == "self-made"))


@pytest.fixture
def service(engine: AsyncEngine) -> ChatService:
    async def check_model(_: Workspace) -> None: ...

    runs, worker = RunStore(engine), SimpleNamespace(owner=lambda: "")
    return ChatService(
        resolve=lambda name: workspace(name or context.workspace() or "acme"),
        check_model=check_model,
        spending=Spending(runs, Bounds(Decimal("1.5"))),
        runs=runs,
        sessions=SessionStore(engine),
        reader=LogReader(runs, Wakeups()),
        worker=worker,  # type: ignore[arg-type]
        lease_seconds=5,
        defaults=Defaults("gemini-3.8-flash", None, 60),
    )


def said(message: str, session_id: str = "demo-user", **changes: Any) -> Ask:
    ask = Ask("", session_id, message, (), "", None, "")
    return replace(ask, **changes)


async def ended(engine: AsyncEngine, run_id: str) -> None:
    """Let a run end, so that its session takes the next."""
    for lease in await LeaseStore(engine, owner="test", seconds=60).claim(10):
        journal = RunJournal(engine, lease)
        await journal.add_text(f"answer to {lease.run_id}")
        await journal.complete(Cost())


async def test_people_who_choose_the_same_id_have_sessions_of_their_own(
    service: ChatService, engine: AsyncEngine
) -> None:
    for caller in (f"user:{ADA}", f"user:{BOB}", KEY):
        with called_by(caller):
            _, run_id = await service.start(said(f"I am {caller}", idempotency_key="same"))
            _, again = await service.start(said(f"I am {caller}", idempotency_key="same"))
            assert again == run_id
            await ended(engine, run_id)
    for caller in (f"user:{ADA}", f"user:{BOB}", KEY):
        with called_by(caller):
            (session,), _ = await service.list_sessions("", 10, "")
            assert session.title == f"I am {caller}"[:60].rsplit(" ", 1)[0] + "…" or session.title == f"I am {caller}"
            messages, _ = await service.list_messages("", "demo-user", 10, "")
            assert [message.role for message in messages] == ["user", "assistant"]
            assert messages[0].content == f"I am {caller}"


def reads(service: ChatService, run_id: str) -> dict[str, Callable[[], Any]]:
    async def watch() -> None:
        async for _ in service.watch("", run_id, 0):
            pass

    return {
        "get_session": lambda: service.get_session("", "mine"),
        "list_messages": lambda: service.list_messages("", "mine", 5, ""),
        "session_cost": lambda: service.session_cost("", "mine"),
        "delete_session": lambda: service.delete_session("", "mine"),
        "get_run": lambda: service.get_run("", run_id),
        "cancel_run": lambda: service.cancel_run("", run_id),
        "watch": watch,
    }


@pytest.mark.parametrize("other", [f"user:{BOB}", KEY, "service-account:ns:sa", None])
async def test_nobody_else_sees_stops_or_deletes_what_is_a_persons(
    service: ChatService, engine: AsyncEngine, other: str | None
) -> None:
    with called_by(f"user:{ADA}"):
        _, run_id = await service.start(said("hello", "mine"))
    for name, call in reads(service, run_id).items():
        with pytest.raises(NotFound) as caught:
            if other is None:
                await call()
            else:
                with called_by(other):
                    await call()
        assert caught.value.reason in (Reason.SESSION_NOT_FOUND, Reason.RUN_NOT_FOUND), name
    with called_by(f"user:{ADA}", session="api-key:of-hers"):
        assert (await service.get_run("", run_id)).state == "running"
        await service.delete_session("", "mine")


async def test_keys_and_peers_share_what_is_nobodys_and_people_do_not_see_it(service: ChatService) -> None:
    with called_by(KEY):
        _, run_id = await service.start(said("hello", "shared"))
    assert (await service.get_run("", run_id)).session_id == "shared"
    with called_by("service-account:ns:sa"):
        assert (await service.get_session("", "shared")).message_count == 1
    with called_by(f"user:{ADA}"):
        assert await service.list_sessions("", 5, "") == ([], "")
        with pytest.raises(NotFound):
            await service.get_run("", run_id)


async def test_a_page_token_is_its_owners(service: ChatService) -> None:
    with called_by(f"user:{ADA}"):
        for number in range(2):
            await service.start(said("hello", str(number)))
        _, token = await service.list_sessions("", 1, "")
    with called_by(f"user:{BOB}"), pytest.raises(InvalidInput) as caught:
        await service.list_sessions("", 1, token)
    assert caught.value.reason is Reason.PAGE_TOKEN_INVALID


async def test_who_began_is_kept_on_session_and_run(service: ChatService, engine: AsyncEngine) -> None:
    with called_by(f"user:{ADA}"):
        await service.start(said("hello"))
    async with transaction(engine, "acme") as connection:
        for table in ("sessions", "runs"):
            row = (await connection.execute(sa.text(f"SELECT owner, principal FROM {table}"))).one()  # noqa: S608
            assert (row.owner, row.principal) == (ADA, f"user:{ADA}")


def new_run(whose: Whose, session_id: str = "s") -> NewRun:
    return NewRun(whose, f"user:{whose.owner}", session_id, "hello", (), "", "m", None, "", "d", "r", 60)


async def begin(engine: AsyncEngine, whose: Whose, session_id: str = "s") -> Lease:
    _, lease = await RunStore(engine).start(new_run(whose, session_id), owner="test", lease_seconds=60)
    assert lease is not None
    return lease


async def test_erasing_a_person_takes_their_chats_of_all_workspaces_once(engine: AsyncEngine) -> None:
    running = await begin(engine, Whose("acme", ADA))
    finished = await begin(engine, Whose("beta:uid-1", ADA))
    await RunJournal(engine, finished).complete(Cost())
    await begin(engine, Whose("acme", BOB))
    await begin(engine, Whose("acme"))
    people = PeopleStore(engine)
    assert await people.count(ADA) == {"sessions": 2, "messages": 3, "runs": 2}
    (first, second) = await people.export(ADA)
    assert {first["workspace"], second["workspace"]} == {"acme", "beta"}
    assert first["messages"][0]["content"] == "hello"
    answers = await asyncio.gather(*(people.erase(ADA, "saga:erase_chat", b"ada") for _ in range(5)))
    assert answers == [{"sessions": 2, "messages": 3, "runs": 2}] * 5
    with pytest.raises(LeaseLost):
        await RunJournal(engine, running).add_text("x")
    assert await people.export(ADA) == []
    assert (await people.count(BOB))["sessions"] == (await people.count(""))["sessions"] == 1
    with pytest.raises(FailedPrecondition) as caught:
        await people.erase(BOB, "saga:erase_chat", b"bob")
    assert caught.value.reason is Reason.IDEMPOTENCY_KEY_REUSED


async def test_erasure_over_the_wire(chats: Any, engine: AsyncEngine) -> None:
    await begin(engine, Whose("acme", ADA))
    stub: Any = person_data_pb2_grpc.PersonDataServiceStub(chats.channel.channel)
    asked = person_data_pb2.ErasePersonRequest(user_id=ADA, idempotency_key="saga:1", dry_run=True)
    tried = await chats.channel.call(stub.ErasePerson, asked)
    assert dict(tried.erased) == {"sessions": 1, "messages": 1, "runs": 1}
    told = await chats.channel.call(stub.ExportPerson, person_data_pb2.ExportPersonRequest(user_id=ADA))
    assert struct_to_dict(told.data)["sessions"][0]["messages"][0]["content"] == "hello"
    asked.dry_run = False
    for _ in range(2):
        assert (await chats.channel.call(stub.ErasePerson, asked)).erased == tried.erased
    asked.idempotency_key = "saga:2"
    assert dict((await chats.channel.call(stub.ErasePerson, asked)).erased)["sessions"] == 0
    with pytest.raises((grpc.aio.AioRpcError, InvalidInput)):
        await chats.channel.call(stub.ErasePerson, person_data_pb2.ErasePersonRequest(user_id=ADA))


async def test_an_older_database_keeps_its_chats_and_a_downgrade_opens_none(database_url: str) -> None:
    settings = DatabaseSettings.model_validate({"database_url": database_url})
    engine = open_engine(settings, "llm_orchestrator")
    await begin(engine, Whose("acme", ADA), "hers")
    shared = await begin(engine, Whose("acme"), "shared")
    await engine.dispose()
    await migrate_async(settings, ("llm_orchestrator",), "0001")
    older = create_async_engine(settings.database_dsn())
    async with older.connect() as connection:
        kept = (await connection.execute(sa.text("SELECT id FROM llm_orchestrator.sessions"))).all()
        assert [row.id for row in kept] == ["shared"]
    await older.dispose()
    await migrate_async(settings, ("llm_orchestrator",))
    engine = open_engine(settings, "llm_orchestrator")
    found, _ = await SessionStore(engine).list_sessions(Whose("acme"), 10, "")
    assert [session.id for session in found] == ["shared"]
    _, events = await RunStore(engine).events_after(Whose("acme"), shared.run_id, 0)
    assert len(events) == 1
    await engine.dispose()


async def test_row_security_alone_keeps_tenants_apart(engine: AsyncEngine) -> None:
    lease = await begin(engine, Whose("acme", ADA))
    await RunJournal(engine, lease).complete(Cost())
    for workspace, expected in (("acme", 1), ("beta", 0), (NO_WORKSPACE, 0), (EVERY_WORKSPACE, 1)):
        async with transaction(engine, workspace) as connection:
            for table in ("sessions", "runs", "messages", "run_events"):
                rows = (await connection.execute(sa.text(f"SELECT 1 FROM {table}"))).all()  # noqa: S608
                assert bool(rows) == bool(expected), (workspace, table)


async def test_a_run_is_stopped_by_who_began_it_or_may_write(service: ChatService) -> None:
    """Chats that keys share are seen by all of them: a viewer's must not stop what another one does."""
    with called_by(KEY):
        _, shared = await service.start(said("Hello"))
    with called_by(f"user:{ADA}", role="viewer"):
        _, own = await service.start(said("Hello", "hers"))
        assert (await service.cancel_run("", own)).id == own
    with called_by("access-key:k2", role="viewer"):
        with pytest.raises(Denied, match="write"):
            await service.cancel_run("", shared)
        with pytest.raises(NotFound):
            await service.cancel_run("", own)
    with called_by(KEY, role="viewer"):
        assert (await service.cancel_run("", shared)).id == shared
    with called_by("access-key:k3", role="editor"):
        assert (await service.cancel_run("", shared)).id == shared
    with context.entered(CallContext(workspace="acme")):  # a peer
        assert (await service.cancel_run("", shared)).id == shared


async def test_a_worker_knows_who_began_a_run(service: ChatService, engine: AsyncEngine) -> None:
    """Also one that takes it over."""
    with called_by(f"user:{ADA}"):
        await service.start(said("Hello"))
    leases = LeaseStore(engine, owner="worker-2", seconds=5)
    [lease] = await leases.claim(1)
    claimed = await leases.load(lease, history_tokens=0)
    assert claimed.turn.asker == Asker(f"user:{ADA}", "editor", "")


async def test_what_a_month_costs_is_bounded_whoever_deletes_what(service: ChatService, engine: AsyncEngine) -> None:
    """Of a workspace that a person made; one that an operator declared has its own limit, here none."""
    paid = "UPDATE runs SET cost_usd = 0.75, state = 'completed'"
    for name in ("self-made", "acme"):
        with called_in(name):
            for number in range(3):
                if number == 2 and name == "self-made":
                    with pytest.raises(QuotaExhausted, match=r"cost 1\.5 of 1\.5 US dollars"):
                        await service.start(said("Hello", str(number)))
                    break
                await service.start(said("Hello", str(number)))
                async with transaction(engine, EVERY_WORKSPACE) as connection:
                    await connection.execute(sa.text(paid))
    with called_in("self-made"):
        await service.delete_session("", "0")
        with pytest.raises(QuotaExhausted):
            await service.start(said("Hello", "again"))
        async with transaction(engine, EVERY_WORKSPACE) as connection:
            await connection.execute(sa.text("UPDATE runs SET created_at = created_at - interval '32 days'"))
            await connection.execute(sa.text("UPDATE forgotten_costs SET month = month - 40"))
        assert await service.start(said("Hello", "next month"))


@contextmanager
def called_in(name: str) -> Iterator[None]:
    identity = Identity(KEY, name, "editor", frozenset({"read", "write"}), 9e9, "", session=KEY)
    with context.entered(CallContext(request_id="r", workspace=name, identity=identity)):
        yield
