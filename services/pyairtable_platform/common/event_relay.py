"""The way of events from a service's outbox to the stream of its area."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .database import EVERY_WORKSPACE, transaction
from .errors import Reason, Unavailable
from .event import Event, stream_of
from .notifications import Listener
from .wakeups import until_woken

log = logging.getLogger(__name__)

OUTBOX_CHANNEL = "outbox"
BATCH = 100
LONGEST_STREAM = 100_000
"""Entries, about: older ones leave the stream whether or not everybody has read them."""
LOOK_SECONDS = 2.0
"""How long an event may wait when its notification was lost."""
RETRY_SECONDS = 0.5
LATE_SECONDS = 60

PUBLISHED = Counter("pyairtable_events_published_total", "Events put into streams, repeats included", ["area"])

# One relay at a time: two that take turns by row (SKIP LOCKED) would put the events of one subject in any order. One
# that is frozen in its turn loses its connection, and with it the turn.
_TURN = sa.text(
    "SELECT pg_try_advisory_xact_lock(1869968482, hashtext(current_schema() || '/' || :area)) AS is_mine, "
    "set_config('idle_in_transaction_session_timeout', '15s', true)"
)
_WAITING = sa.text(
    "SELECT id, event_id, type, subject, workspace, principal, occurred_at, data FROM outbox "
    "WHERE published_at IS NULL ORDER BY id LIMIT :batch"
)
_PUBLISHED = sa.text("UPDATE outbox SET published_at = now() WHERE id = ANY(:ids)")
_ALL_AGAIN = sa.text("UPDATE outbox SET published_at = NULL WHERE published_at IS NOT NULL")
_LAST_AGAIN = sa.text("UPDATE outbox SET published_at = NULL WHERE published_at > now() - interval '10 minutes'")
_FORGET = sa.text("DELETE FROM outbox WHERE published_at < now() - interval '7 days'")
_LATE = sa.text(
    "SELECT count(*) FROM outbox WHERE published_at IS NULL AND occurred_at < now() - :late * interval '1 s'"
)


class Relay:
    """Publishes the outbox of one service to the stream of one area. Any number of replicas may run it."""

    def __init__(self, engine: AsyncEngine, valkey: Redis, area: str) -> None:
        self._engine = engine
        self._valkey = valkey
        self._area = area
        self._stream = stream_of(area)
        self._recorded = asyncio.Event()
        self._in_doubt = False  # Valkey was away: what it took last, it may have lost

    async def run(self) -> None:
        """Publish for ever, at once when an event is recorded. While a store is away, events wait in the outbox."""
        listener = Listener(self._engine, OUTBOX_CHANNEL, heard=lambda _: self._wake(), missed=self._wake)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listener.run())
            tasks.create_task(self._publish_for_ever())

    async def check(self) -> None:
        """For /health: raises Unavailable when events wait for longer than they should."""
        # A relay is about the events of all workspaces, here and below.
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            late = int((await connection.execute(_LATE, {"late": LATE_SECONDS})).scalar_one())
        if late:
            raise Unavailable(f"{late} events wait for longer than {LATE_SECONDS} s to be published: see its log")

    async def publish(self) -> int:
        """Publish one batch; how many. Raises Unavailable when PostgreSQL or Valkey is away."""
        # Asked by every replica, so that each notices by itself that Valkey was away.
        is_there = bool(await self._valkey_answers(self._valkey.exists(self._stream)))
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            if not (await connection.execute(_TURN, {"area": self._area})).one().is_mine:
                return 0
            await self._take_back(connection, is_there)
            rows = (await connection.execute(_WAITING, {"batch": BATCH})).all()
            if rows:
                await self._send(rows, is_there)
                await connection.execute(_PUBLISHED, {"ids": [row.id for row in rows]})
        self._in_doubt = False
        PUBLISHED.labels(self._area).inc(len(rows))
        return len(rows)

    async def forget(self) -> None:
        """Remove events that were published a week ago."""
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            await connection.execute(_FORGET)

    def _wake(self) -> None:
        self._recorded.set()

    async def _publish_for_ever(self) -> None:
        is_away, rounds = False, 0
        while True:
            self._recorded.clear()
            try:
                published = await self.publish()
                if rounds % 1000 == 0:
                    await self.forget()
                is_away = False
            except Unavailable as error:
                if not is_away:
                    log.warning("events wait", extra={"area": self._area, "cause": error.message})
                is_away, published = True, 0
            rounds += 1
            if published < BATCH:
                await until_woken(self._recorded, RETRY_SECONDS if is_away else LOOK_SECONDS)
            if is_away:
                await asyncio.sleep(RETRY_SECONDS)  # being woken does not bring it back

    async def _take_back(self, connection: AsyncConnection, is_there: bool) -> None:
        """What Valkey may have lost waits again."""
        if not is_there:
            await connection.execute(_ALL_AGAIN)
        elif self._in_doubt:
            await connection.execute(_LAST_AGAIN)

    async def _send(self, rows: Sequence[Any], is_there: bool) -> None:
        """Append to the stream. One that was there must still be: else it would begin anew without its past."""
        pipeline = self._valkey.pipeline(transaction=False)
        for row in rows:
            fields: dict[Any, Any] = dict(_event(row).to_fields())
            pipeline.xadd(self._stream, fields, maxlen=LONGEST_STREAM, approximate=True, nomkstream=is_there)
        if None in await self._valkey_answers(pipeline.execute()):
            raise _away(self._stream)

    async def _valkey_answers(self, asked: Any) -> Any:
        try:
            return await asked
        except (RedisError, OSError) as error:
            self._in_doubt = True
            raise _away(self._stream) from error


def _event(row: Any) -> Event:
    return Event(row.type, row.subject, row.workspace, row.principal, row.data, row.event_id, row.occurred_at)


def _away(stream: str) -> Unavailable:
    return Unavailable(
        f"the stream {stream} cannot be written: Redis/Valkey is away; events wait in PostgreSQL",
        reason=Reason.DEPENDENCY_UNAVAILABLE,
        dependency="redis",
    )
