"""Events over real PostgreSQL and Valkey: nothing lost, the order of each subject kept, whatever is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from integration.common.event_stores import SCHEMA, engine_over, make_database, numbered, rows
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_devkit.databases import Postgres, Valkey
from pyairtable_platform.common import effects, event_relay
from pyairtable_platform.common.database import EVERY_WORKSPACE, NO_WORKSPACE, transaction
from pyairtable_platform.common.errors import Unavailable
from pyairtable_platform.common.events import Consumer, Event, Relay, Tail, record
from pyairtable_platform.common.settings import RedisSettings
from pyairtable_platform.common.valkey import open_valkey

AREA = "user"
STREAM = "events:user"


class Stores:
    """A database with an outbox, and Valkey, of a test's own."""

    def __init__(self, postgres: Postgres, valkey: Valkey, url: str) -> None:
        self.postgres = postgres
        self.valkey = valkey
        self.url = url
        self.engines: list[AsyncEngine] = []
        self.clients: list[Redis] = []

    @property
    def engine(self) -> AsyncEngine:
        return self.engines[0] if self.engines else self.new_engine()

    def new_engine(self) -> AsyncEngine:
        self.engines.append(engine_over(self.url))
        return self.engines[-1]

    def client(self) -> Redis:
        self.clients.append(open_valkey(RedisSettings(redis_url=self.valkey.url)))  # type: ignore[arg-type]
        return self.clients[-1]

    def relay(self) -> Relay:
        """A replica's."""
        return Relay(self.new_engine(), self.client(), AREA)

    async def tell(self, *events: Event) -> None:
        """Each in a transaction of its own."""
        for event in events:
            async with transaction(self.engine, NO_WORKSPACE) as connection:
                await record(connection, event)

    async def stream(self) -> list[Event]:
        entries: Any = await self.client().xrange(STREAM)
        return [Event.from_fields(fields) for _, fields in entries]

    async def close(self) -> None:
        await asyncio.gather(*(client.aclose() for client in self.clients))
        await asyncio.gather(*(engine.dispose() for engine in self.engines))


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Postgres, Valkey]]:
    with Postgres.start() as postgres, Valkey.start() as valkey:
        yield postgres, valkey


@pytest.fixture
async def stores(servers: tuple[Postgres, Valkey]) -> AsyncIterator[Stores]:
    postgres, valkey = servers
    opened = Stores(postgres, valkey, await make_database(postgres))
    await opened.client().flushall()
    yield opened
    await opened.close()


@asynccontextmanager
async def running(*runs: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Background work, as a service runs it: one that ends fails the test."""
    tasks = [asyncio.ensure_future(run()) for run in runs]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while True:
            holds = condition()
            if holds if not isinstance(holds, Awaitable) else await holds:
                return
            await asyncio.sleep(0.02)


class Ears:
    """Notes what it hears, and does once what the event asks for."""

    def __init__(self, engine: AsyncEngine | None = None) -> None:
        self.heard: list[tuple[str, int]] = []
        self._engine = engine

    async def handle(self, event: Event) -> None:
        if self._engine is not None:
            await self._count(self._engine, event)
        self.heard.append((event.subject, event.data["number"]))

    async def _count(self, engine: AsyncEngine, event: Event) -> None:
        async with transaction(engine, NO_WORKSPACE) as connection:

            async def do() -> dict[str, Any]:
                statement = text("INSERT INTO heard (event_id, times) VALUES (:event_id, 1)")
                await connection.execute(statement, {"event_id": event.event_id})
                return {}

            await effects.once(connection, event.event_id, event.event_id.encode(), do)

    def first_times(self) -> list[tuple[str, int]]:
        return list(dict.fromkeys(self.heard))

    def has(self, subject: str, count: int) -> bool:
        return [number for whose, number in self.first_times() if whose == subject] == list(range(count))


def consumer(stores: Stores, ears: Ears, group: str = "listeners") -> Consumer:
    return Consumer(stores.client(), group, [AREA, "saga"], ears.handle, lock_seconds=2)


async def test_an_event_is_told_with_its_change_or_not_at_all(stores: Stores) -> None:
    relay, kept = stores.relay(), Event("user.verified.v1", "u1", principal="user:u1", data={"é": [1, None]})
    with pytest.raises(RuntimeError):
        async with transaction(stores.engine, NO_WORKSPACE) as connection:
            await record(connection, Event("user.registered.v1", "u1"))
            raise RuntimeError("the change failed")
    await stores.tell(kept)
    assert await relay.publish() == 1
    assert await stores.stream() == [kept]
    assert await relay.publish() == 0


async def test_an_event_is_of_its_transactions_workspace_or_nobodys(stores: Stores) -> None:
    async with transaction(stores.engine, "acme") as connection:
        await record(connection, Event("workspace.updated.v1", "acme", workspace="acme"))
        await record(connection, Event("user.verified.v1", "u1"))
    with pytest.raises(DBAPIError, match="row-level security"):
        async with transaction(stores.engine, "beta") as connection:
            await record(connection, Event("workspace.updated.v1", "acme", workspace="acme"))
    assert len(await rows(stores.engine, "SELECT 1 FROM outbox", "beta")) == 0


async def test_two_relays_keep_the_order_of_each_subject_and_repeat_nothing(stores: Stores) -> None:
    subjects = [f"s{number}" for number in range(8)]

    async def write(subject: str) -> None:
        engine = stores.new_engine()
        for event in numbered(subject, 60):
            async with transaction(engine, NO_WORKSPACE) as connection:
                await record(connection, event)

    async def all_there() -> bool:
        return await stores.clients[0].xlen(STREAM) >= 60 * len(subjects)

    stores.client()
    async with running(stores.relay().run, stores.relay().run):
        await asyncio.gather(*map(write, subjects))
        await until(all_there)
    told = [(event.subject, event.data["number"]) for event in await stores.stream()]
    assert len(told) == 60 * len(subjects)
    for subject in subjects:
        assert [number for whose, number in told if whose == subject] == list(range(60))


async def test_numbers_of_a_subject_are_drawn_in_the_order_of_commits(stores: Stores) -> None:
    """The first to record holds its transaction open; the second must not get ahead of it."""
    first, second = numbered("s", 2)
    async with transaction(stores.engine, NO_WORKSPACE) as connection:
        await record(connection, first)
        late = asyncio.create_task(stores.tell(second))
        await asyncio.sleep(0.2)
        assert not late.done()
    await late
    await stores.relay().publish()
    assert [event.event_id for event in await stores.stream()] == [first.event_id, second.event_id]


async def test_a_relay_that_dies_after_publishing_repeats_and_the_event_is_handled_once(stores: Stores) -> None:
    class Dies(Redis):
        def pipeline(self, *arguments: Any, **options: Any) -> Any:
            real = super().pipeline(*arguments, **options)
            execute = real.execute

            async def execute_and_die(*given: Any, **named: Any) -> Any:
                await execute(*given, **named)
                raise asyncio.CancelledError  # before the outbox hears of it

            real.execute = execute_and_die  # type: ignore[method-assign]
            return real

    dying = Dies.from_url(stores.valkey.url)
    stores.clients.append(dying)
    await stores.tell(*numbered("s", 3))
    with pytest.raises(asyncio.CancelledError):
        await Relay(stores.engine, dying, AREA).publish()
    assert len(await stores.stream()) == 3
    ears = Ears(stores.engine)
    async with running(stores.relay().run, consumer(stores, ears).run):
        await until(lambda: len(ears.heard) == 6)
    assert ears.has("s", 3)
    assert len(await rows(stores.engine, "SELECT 1 FROM heard")) == 3


async def test_valkey_killed_and_back_empty_loses_nothing(stores: Stores) -> None:
    ears = Ears(stores.engine)
    async with running(stores.relay().run, stores.relay().run, consumer(stores, ears).run):
        await stores.tell(*numbered("before", 5))
        await until(lambda: ears.has("before", 5))
        await asyncio.to_thread(stores.valkey.kill)
        await stores.tell(*numbered("meanwhile", 5))
        await asyncio.to_thread(stores.valkey.restart)
        await stores.tell(*numbered("after", 5))
        await until(lambda: ears.has("meanwhile", 5) and ears.has("after", 5))
    assert len(await rows(stores.engine, "SELECT 1 FROM heard")) == 15, "each once, however often it came"


async def test_what_valkey_had_and_nobody_heard_before_it_was_lost_comes_again(stores: Stores) -> None:
    await stores.tell(*numbered("s", 3))
    relay = stores.relay()
    await relay.publish()
    await asyncio.to_thread(stores.valkey.kill)
    await asyncio.to_thread(stores.valkey.restart)
    ears = Ears()
    async with running(relay.run, consumer(stores, ears).run):
        await until(lambda: ears.has("s", 3))


async def test_postgresql_killed_and_back_loses_nothing(stores: Stores) -> None:
    ears = Ears(stores.engine)
    async with running(stores.relay().run, stores.relay().run, consumer(stores, ears).run):
        await stores.tell(*numbered("before", 5))
        await asyncio.to_thread(stores.postgres.kill)
        await asyncio.to_thread(stores.postgres.restart)
        await until(lambda: ears.has("before", 5))
        await stores.tell(*numbered("after", 5))
        await until(lambda: ears.has("after", 5))
    assert len(await rows(stores.engine, "SELECT 1 FROM heard")) == 10


async def test_a_relay_that_is_frozen_in_its_turn_loses_it(stores: Stores) -> None:
    """Its transaction is ended by PostgreSQL; here by hand, for that takes 15 s."""
    await stores.tell(*numbered("s", 1))
    holder = stores.new_engine()
    connection = await holder.connect()
    turn = (await connection.execute(event_relay._TURN, {"area": AREA})).one()
    assert turn.is_mine
    limit = (await connection.execute(text("SHOW idle_in_transaction_session_timeout"))).scalar_one()
    assert limit == "15s"
    other = stores.relay()
    assert await other.publish() == 0
    await rows(
        stores.engine,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name "
        "AND state = 'idle in transaction'",
        name=SCHEMA,
    )
    await until(lambda: _published(other))
    await connection.invalidate()
    await connection.close()


async def _published(relay: Relay) -> bool:
    return await relay.publish() == 1


async def test_a_stream_is_bounded(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_relay, "LONGEST_STREAM", 100)
    async with transaction(stores.engine, NO_WORKSPACE) as connection:
        for event in numbered("s", 500):
            await record(connection, event)
    relay = stores.relay()
    while await relay.publish():
        pass
    assert 100 <= await stores.client().xlen(STREAM) < 300


async def test_old_events_leave_the_outbox_when_they_were_published(stores: Stores) -> None:
    await stores.tell(*numbered("s", 3))
    relay = stores.relay()
    await relay.publish()
    old = "UPDATE outbox SET published_at = now() - interval '8 days' WHERE data->>'number' = '0'"
    await rows(stores.engine, old)
    unpublished = (
        "UPDATE outbox SET published_at = NULL, occurred_at = now() - interval '8 days' WHERE data->>'number' = '1'"
    )
    await rows(stores.engine, unpublished)
    await relay.forget()
    left = await rows(stores.engine, "SELECT data->>'number' AS number FROM outbox ORDER BY id")
    assert [row.number for row in left] == ["1", "2"]
    with pytest.raises(Unavailable, match="1 events wait"):
        await relay.check()
    await relay.publish()
    await relay.check()


async def test_replicas_of_a_consumer_share_its_group_and_groups_hear_all(stores: Stores) -> None:
    first, second, other = Ears(), Ears(), Ears()
    async with running(
        stores.relay().run,
        consumer(stores, first).run,
        consumer(stores, second).run,
        consumer(stores, other, "others").run,
    ):
        await stores.tell(*numbered("s", 40))
        await until(lambda: len(first.heard + second.heard) == 40 and other.has("s", 40))
    assert sorted(first.heard + second.heard) == [("s", number) for number in range(40)]
    assert [] in (first.heard, second.heard), "one reads at a time"


_VICTIM = """
import asyncio, sys
from pyairtable_platform.common.events import Consumer
from pyairtable_platform.common.settings import RedisSettings
from pyairtable_platform.common.valkey import open_valkey

async def handle(event):
    print(event.data["number"], flush=True)
    if event.data["number"] == 1:
        await asyncio.sleep(3600)

async def main():
    await Consumer(open_valkey(RedisSettings()), "listeners", ["user", "saga"], handle, lock_seconds=2).run()

asyncio.run(main())
"""


async def test_what_a_killed_consumer_left_is_taken_first(stores: Stores) -> None:
    await stores.tell(*numbered("s", 4))
    await stores.relay().publish()
    victim = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _VICTIM),
        env={**os.environ, "REDIS_URL": stores.valkey.url},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert victim.stdout is not None
        async with asyncio.timeout(60):
            assert [await victim.stdout.readline() for _ in range(2)] == [b"0\n", b"1\n"]
        await stores.tell(*numbered("s", 2, start=4))
        await stores.relay().publish()
        ears = Ears()
        async with running(consumer(stores, ears).run):
            await asyncio.sleep(0.3)
            assert ears.heard == [], "the first one still reads"
            victim.send_signal(signal.SIGKILL)
            await until(lambda: len(ears.heard) == 5)
        assert ears.heard == [("s", number) for number in range(1, 6)]
    finally:
        if victim.returncode is None:
            victim.kill()
        await victim.wait()


class Moody(Ears):
    """Refuses one number, for ever or for a while."""

    def __init__(self, number: int, error: Exception, times: int = 10**9) -> None:
        super().__init__()
        self.number, self.error, self.left, self.tries = number, error, times, 0

    async def handle(self, event: Event) -> None:
        if event.data["number"] == self.number and self.left:
            self.left -= 1
            self.tries += 1
            raise self.error
        await super().handle(event)


async def test_an_event_that_nobody_can_handle_is_set_aside_and_told_of(stores: Stores) -> None:
    ears = Moody(1, RuntimeError("cannot"))
    reader = consumer(stores, ears)
    async with running(stores.relay().run, reader.run):
        await stores.tell(*numbered("s", 4))
        await until(lambda: len(ears.heard) == 3)
        assert ears.tries == 5
        with pytest.raises(Unavailable, match="events:user:set-aside:listeners"):
            await reader.check()
    aside: Any = await stores.client().xrange("events:user:set-aside:listeners")
    ((_, fields),) = aside
    assert Event.from_fields(fields).data["number"] == 1
    assert fields[b"error"] == b"RuntimeError: cannot"
    pending: Any = await stores.client().xpending(STREAM, "listeners")
    assert pending["pending"] == 0


async def test_an_event_over_which_readers_keep_dying_is_set_aside_unread(stores: Stores) -> None:
    await stores.tell(*numbered("s", 2))
    await stores.relay().publish()
    client, ears = stores.client(), Ears()
    await client.xgroup_create(STREAM, "listeners", id="0")
    taken: Any = await client.xreadgroup("listeners", "dead", {STREAM: ">"}, count=1)
    entry_id = taken[0][1][0][0]
    for _ in range(10):
        await client.xclaim(STREAM, "listeners", "dead", min_idle_time=0, message_ids=[entry_id])
    async with running(consumer(stores, ears).run):
        await until(lambda: ears.heard == [("s", 1)])
    aside: Any = await client.xrange("events:user:set-aside:listeners")
    assert [fields[b"entry"] for _, fields in aside] == [entry_id]


async def test_an_event_waits_for_what_its_handler_needs(stores: Stores) -> None:
    ears = Moody(1, Unavailable("the other service is away"), times=7)
    reader = consumer(stores, ears)
    async with running(stores.relay().run, reader.run):
        await stores.tell(*numbered("s", 3))
        await until(lambda: ears.tries >= 1)
        with pytest.raises(Unavailable, match="other service"):
            await reader.check()
        await until(lambda: ears.has("s", 3))
        await reader.check()
    assert await stores.client().exists("events:user:set-aside:listeners") == 0


async def test_an_entry_that_is_no_event_is_set_aside(stores: Stores) -> None:
    ears = Ears()
    await stores.tell(*numbered("s", 1))
    await stores.relay().publish()
    await stores.client().xadd(STREAM, {"what": "this"})
    async with running(stores.relay().run, consumer(stores, ears).run):
        await stores.tell(*numbered("s", 1, start=1))
        await until(lambda: ears.has("s", 2))
    assert await stores.client().xlen("events:user:set-aside:listeners") == 1


async def test_every_replica_hears_what_happens_from_now_on(stores: Stores) -> None:
    heard: list[list[int]] = [[], []]
    missed = [0, 0]

    def tail(which: int) -> Tail:
        def note_missed() -> None:
            missed[which] += 1

        return Tail(
            stores.client(),
            [AREA],
            heard=lambda event: heard[which].append(event.data["number"]),
            missed=note_missed,
        )

    relay = stores.relay()
    await stores.tell(*numbered("s", 2))
    await relay.publish()
    async with running(tail(0).run, tail(1).run, relay.run):
        await until(lambda: missed == [1, 1])
        await stores.tell(*numbered("s", 2, start=2))
        await until(lambda: heard == [[2, 3], [2, 3]])
        await asyncio.to_thread(stores.valkey.kill)
        await asyncio.to_thread(stores.valkey.restart)
        await until(lambda: min(missed) >= 2)
        await stores.tell(*numbered("s", 1, start=4))
        await until(lambda: all(numbers[-1] == 4 for numbers in heard))


async def test_who_reads_no_outbox_of_others(stores: Stores) -> None:
    """Relays cross workspaces, and say so; without that an outbox is empty."""
    await stores.tell(*numbered("s", 1))
    assert len(await rows(stores.engine, "SELECT 1 FROM outbox", EVERY_WORKSPACE)) == 1
    assert await rows(stores.engine, "SELECT 1 FROM outbox", NO_WORKSPACE) == []
