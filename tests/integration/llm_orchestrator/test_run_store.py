"""The log and the leases in PostgreSQL: fenced, gapless, exact."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.database import EVERY_WORKSPACE, open_engine, transaction
from pyairtable_platform.common.errors import Cancelled, FailedPrecondition, Reason
from pyairtable_platform.common.migrations import migrate_async
from pyairtable_platform.common.settings import DatabaseSettings
from pyairtable_platform.llm_orchestrator.entities import EventKind, Lease, NewRun, Whose
from pyairtable_platform.llm_orchestrator.ports import (
    Cost,
    FunctionCall,
    LeaseLost,
    PlannedCall,
    Step,
    ToolOutcome,
    Usage,
)
from pyairtable_platform.llm_orchestrator.store import tables
from pyairtable_platform.llm_orchestrator.store.journal import RunJournal
from pyairtable_platform.llm_orchestrator.store.leases import LeaseStore
from pyairtable_platform.llm_orchestrator.store.runs import RunStore
from pyairtable_platform.llm_orchestrator.store.sessions import SessionStore

ACME = Whose("acme")
NEW = NewRun(
    whose=ACME,
    principal="",
    session_id="s",
    message="hello",
    seeds=(),
    base_id="",
    model="gemini-3.8-flash",
    thinking_budget=None,
    idempotency_key="",
    digest="d",
    request_id="r",
    seconds=60,
)
COST = Cost(Usage(10, 5, 1, 0, 16), 1)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    opened = open_engine(DatabaseSettings.model_validate({"database_url": database_url}), "llm_orchestrator")
    yield opened
    await opened.dispose()


async def begin(engine: AsyncEngine, new: NewRun = NEW, lease_seconds: float = 60) -> Lease:
    _, lease = await RunStore(engine).start(new, owner="test", lease_seconds=lease_seconds)
    assert lease is not None
    return lease


async def read(engine: AsyncEngine, lease: Lease) -> list[tuple[int, EventKind]]:
    _, events = await RunStore(engine).events_after(ACME, lease.run_id, 0)
    return [(event.id, event.kind) for event in events]


async def test_event_ids_have_no_gaps_whoever_writes_at_once(engine: AsyncEngine) -> None:
    lease = await begin(engine)
    journal = RunJournal(engine, lease)
    await asyncio.gather(*(journal.add_text(f"{number} ") for number in range(20)))
    await journal.complete(COST)
    events = await read(engine, lease)
    assert [event_id for event_id, _ in events] == list(range(1, 23))
    run = await RunStore(engine).get(ACME, lease.run_id)
    assert sorted(run.response.split()) == sorted(str(number) for number in range(20))


async def test_a_writer_that_was_taken_over_cannot_write(engine: AsyncEngine) -> None:
    old = await begin(engine, lease_seconds=-1)
    leases = LeaseStore(engine, owner="other", seconds=60)
    (new,) = await leases.claim(10)
    assert new.run_id == old.run_id and new.token == old.token + 1
    before = await read(engine, old)
    stale = RunJournal(engine, old)
    planned = PlannedCall("1.1", FunctionCall("look", {}))
    for write in (
        stale.add_text("x"),
        stale.rewind("x"),
        stale.add_step(Step({"role": "model", "parts": []}), thoughts="", cost=COST),
        stale.tools_started([planned]),
        stale.tool_ended(planned, ToolOutcome({})),
        stale.complete(COST),
        stale.fail(FailedPrecondition("no"), COST),
        stale.cancel(),
        leases.renew(old),
        leases.load(old, history_tokens=10),
    ):
        with pytest.raises(LeaseLost):
            await write
    assert await read(engine, old) == before
    await RunJournal(engine, new).complete(COST)


async def test_nothing_follows_the_end(engine: AsyncEngine) -> None:
    journal = RunJournal(engine, await begin(engine))
    await journal.complete(COST)
    for write in (journal.add_text("x"), journal.cancel(), journal.complete(COST)):
        with pytest.raises(LeaseLost):
            await write


async def test_an_abandoned_run_has_one_taker(engine: AsyncEngine) -> None:
    for number in range(5):
        await begin(engine, replace(NEW, session_id=f"s{number}"), lease_seconds=-1)
    workers = [LeaseStore(engine, owner=f"w{number}", seconds=60) for number in range(4)]
    claimed = [lease.run_id for leases in await asyncio.gather(*(w.claim(3) for w in workers)) for lease in leases]
    assert len(claimed) == len(set(claimed)) == 5


async def test_a_run_that_somebody_is_taking_is_not_waited_for(engine: AsyncEngine) -> None:
    first = await begin(engine, replace(NEW, session_id="a"), lease_seconds=-1)
    second = await begin(engine, replace(NEW, session_id="b"), lease_seconds=-1)
    async with transaction(engine, "acme") as taking, asyncio.timeout(10):
        await taking.execute(sa.select(tables.runs).where(tables.runs.c.id == first.run_id).with_for_update())
        claimed = await LeaseStore(engine, owner="other", seconds=60).claim(10)
    assert [lease.run_id for lease in claimed] == [second.run_id]


async def test_a_live_lease_is_left_alone_and_a_released_one_taken(engine: AsyncEngine) -> None:
    lease = await begin(engine)
    leases = LeaseStore(engine, owner="other", seconds=60)
    assert await leases.claim(10) == []
    await leases.release(lease)
    assert [taken.run_id for taken in await leases.claim(10)] == [lease.run_id]


async def test_contents_come_back_exactly(engine: AsyncEngine) -> None:
    lease = await begin(engine)
    content: dict[str, Any] = {
        "role": "model",
        "parts": [
            {"text": "z\u0000 ü 😀", "thoughtSignature": "EhBl+/==_-"},
            {"functionCall": {"name": "look", "args": {"b": 1, "a": 2.0, "n": None}, "id": "x"}},
        ],
    }
    call = PlannedCall("1.1", FunctionCall("look", {"b": 1, "a": 2.0, "n": None}, "x"))
    journal = RunJournal(engine, lease)
    await journal.add_step(Step(content, [call]), thoughts="", cost=COST)
    await journal.tools_started([call])
    await journal.tool_ended(call, ToolOutcome({"text": "nul \u0000"}, error="bad \u0000", summary="ok"))
    claimed = await LeaseStore(engine, owner="test", seconds=60).load(lease, history_tokens=1000)
    (step,) = claimed.turn.steps
    assert step.content == content
    assert list(step.content["parts"][1]["functionCall"]["args"]) == ["b", "a", "n"]
    assert isinstance(step.content["parts"][1]["functionCall"]["args"]["a"], float)
    assert list(step.calls) == [call]
    assert step.outcomes["1.1"].response == {"text": "nul \u0000"}
    assert claimed.turn.started_calls == {"1.1"}


async def test_text_that_a_column_cannot_hold_is_left_out(engine: AsyncEngine) -> None:
    lease = await begin(engine)
    journal = RunJournal(engine, lease)
    await journal.add_text("a\x00b\ud800c")
    await journal.complete(COST)
    run = await RunStore(engine).get(ACME, lease.run_id)
    assert run.response == "ab?c"


async def test_open_calls_are_closed_when_a_run_ends(engine: AsyncEngine) -> None:
    lease = await begin(engine)
    journal = RunJournal(engine, lease)
    calls = [PlannedCall(f"1.{number}", FunctionCall("change", {})) for number in (1, 2)]
    await journal.add_step(Step({"role": "model", "parts": []}, calls), thoughts="", cost=COST)
    await journal.tools_started(calls[:1])
    await journal.fail(Cancelled("x", reason=Reason.TURN_LIMIT, limit="time"))
    kinds = [kind for _, kind in await read(engine, lease)]
    assert kinds == [EventKind(kind) for kind in ("started", "cost", "tool_started", "tool_ended", "cost", "failed")]
    next_turn = await begin(engine, replace(NEW, message="and now?"))
    claimed = await LeaseStore(engine, owner="t", seconds=60).load(next_turn, history_tokens=1000)
    told = claimed.turn.history[2]["parts"]
    assert told[0]["functionResponse"]["response"]["error"]["reason"] == "WRITE_OUTCOME_UNKNOWN"
    assert told[1]["functionResponse"]["response"]["error"]["reason"] == "RUN_CANCELLED"
    assert "TURN_LIMIT" in claimed.turn.history[3]["parts"][0]["text"]


async def test_costs_without_a_price_make_the_sessions_cost_unknown(engine: AsyncEngine) -> None:
    await RunJournal(engine, await begin(engine)).complete(COST)
    sessions = SessionStore(engine)
    assert (await sessions.session_cost(ACME, "s")).cost.usd == 0
    await RunJournal(engine, await begin(engine)).complete(replace(COST, usd=None))
    cost = await sessions.session_cost(ACME, "s")
    assert cost.runs == 2 and cost.cost.usd is None and cost.cost.usage.total_tokens == 32


async def test_deleting_a_session_leaves_no_row(engine: AsyncEngine) -> None:
    lease = await begin(engine)
    journal = RunJournal(engine, lease)
    call = PlannedCall("1.1", FunctionCall("look", {}))
    await journal.add_step(Step({"role": "model", "parts": []}, [call]), thoughts="", cost=COST)
    await journal.complete(COST)
    await SessionStore(engine).delete_session(ACME, "s")
    async with transaction(engine, EVERY_WORKSPACE) as connection:
        for table in tables.metadata.sorted_tables:
            rows = (await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one()
            assert rows == 0, table.name


async def test_the_migrations_make_the_tables_that_the_code_knows(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        found = await connection.run_sync(_columns)
    known = {table.name: {column.name for column in table.columns} for table in tables.metadata.sorted_tables}
    assert {name: columns for name, columns in found.items() if name in known} == known


async def test_migrations_go_down_and_up_again(database_url: str, engine: AsyncEngine) -> None:
    await RunJournal(engine, await begin(engine)).complete(COST)
    await engine.dispose()
    settings = DatabaseSettings.model_validate({"database_url": database_url})
    await migrate_async(settings, ("llm_orchestrator",), "base")
    await migrate_async(settings, ("llm_orchestrator",))
    assert (await begin(engine)).token == 1


def _columns(connection: sa.Connection) -> dict[str, set[str]]:
    inspector = sa.inspect(connection)
    return {
        name: {column["name"] for column in inspector.get_columns(name, "llm_orchestrator")}
        for name in inspector.get_table_names("llm_orchestrator")
    }
