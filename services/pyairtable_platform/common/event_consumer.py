"""Hearing events: a group of readers over the streams of some areas, one of which reads at a time.

One at a time, because two that shared a stream would handle the events of one subject in any order. The reader holds a
lock in Valkey; when it is gone, another takes what it left unanswered first, and goes on.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from .errors import DeadlineExceeded, Unavailable
from .event import Event, set_aside_of, stream_of
from .tasks import end

log = logging.getLogger(__name__)

Handle = Callable[[Event], Awaitable[None]]
"""Handles an event, which may have come before: it is known by its `event_id`. Types that mean nothing are passed over.

Unavailable and DeadlineExceeded mean "later": it is asked again until it works. Other errors count as tries."""

BATCH = 20
TRIES = 5
DELIVERIES = 10
"""Times that a reader may have died over an event before it is set aside unread."""
LOCK_SECONDS = 10.0
BLOCK_SECONDS = 1.0
RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 5.0
LONGEST_SET_ASIDE = 10_000

HANDLED = Counter("pyairtable_events_handled_total", "Events handled, by the group that heard them", ["group", "area"])
FAILED = Counter("pyairtable_events_failed_total", "Tries to handle an event that failed", ["group", "area"])
SET_ASIDE = Counter("pyairtable_events_set_aside_total", "Events given up: somebody must look", ["group", "area"])


class Consumer:
    """Hands every event of some areas to `handle`, in order, at least once. Any number of replicas may run it."""

    def __init__(
        self, valkey: Redis, group: str, areas: Sequence[str], handle: Handle, *, lock_seconds: float = LOCK_SECONDS
    ) -> None:
        self._valkey = valkey
        self._group = group
        self._name = uuid.uuid4().hex
        self._areas = {stream_of(area): area for area in areas}
        self._handle = handle
        self._lock_seconds = lock_seconds
        self._ready: set[str] = set()  # streams that have our group
        self._waits_for = ""

    async def run(self) -> None:
        """Handle events for ever. While Valkey is away, or another replica reads, wait."""
        is_away = False
        while True:
            try:
                await self._read_in_turn()
                is_away = False
            except (RedisError, OSError) as error:
                if not is_away:
                    log.warning("events are not heard", extra={"group": self._group, "cause": type(error).__name__})
                is_away = True
            await asyncio.sleep(BLOCK_SECONDS)

    async def check(self) -> None:
        """For /health: raises Unavailable when events were set aside, or one cannot be handled for now."""
        for stream, area in self._areas.items():
            aside = set_aside_of(area, self._group)
            if count := await self._valkey.xlen(aside):
                raise Unavailable(f"{count} events of {stream} could not be handled: see the stream {aside}")
        if self._waits_for:
            raise Unavailable(self._waits_for)

    async def _read_in_turn(self) -> None:
        """Read as long as the lock is ours; return at once when it is another's."""
        lock = self._valkey.lock(f"events:reader:{self._group}", timeout=self._lock_seconds, thread_local=False)
        if not await lock.acquire(blocking=False):
            return
        keeping = asyncio.create_task(self._keep(lock))
        self._ready.clear()
        try:
            while not keeping.done():
                await self._read(keeping)
        finally:
            self._waits_for = ""
            await end(keeping)  # else the lock is kept, and no replica reads
            with suppress(RedisError, OSError):  # it ends by itself, too
                await lock.release()

    async def _keep(self, lock: Any) -> None:
        """Hold the lock; raises when it is lost."""
        while True:
            await asyncio.sleep(self._lock_seconds / 4)
            await lock.reacquire()

    async def _read(self, turn: asyncio.Task[None]) -> None:
        """Take what is there: of streams that are new to us first what earlier readers left unanswered."""
        for stream in self._areas.keys() - self._ready:
            if await self._join(stream):
                await self._left_over(stream, turn)
                self._ready.add(stream)
        if not self._ready:
            await asyncio.sleep(BLOCK_SECONDS)
            return
        streams: dict[Any, Any] = dict.fromkeys(sorted(self._ready), ">")
        try:
            read: Any = await self._valkey.xreadgroup(
                self._group, self._name, streams, count=BATCH, block=int(BLOCK_SECONDS * 1000)
            )
        except ResponseError as error:
            if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                raise
            self._ready.clear()  # Valkey lost the streams; the relay fills them again
            return
        for stream, entries in read or ():
            await self._settle(stream.decode(), entries, turn)

    async def _join(self, stream: str) -> bool:
        """Have our group on a stream, from its beginning; False when there is no such stream yet.

        It is not made here: a relay must see that it is missing, to fill it again.
        """
        try:
            await self._valkey.xgroup_create(stream, self._group, id="0")
        except ResponseError as error:
            if str(error).startswith("BUSYGROUP"):
                return True
            if "requires the key to exist" in str(error):
                return False
            raise
        return True

    async def _left_over(self, stream: str, turn: asyncio.Task[None]) -> None:
        """Settle what earlier readers took and never answered. They are gone, or have lost their turn: nobody waits."""
        start: Any = "0-0"
        while not turn.done():
            start, entries, _ = await self._valkey.xautoclaim(
                stream, self._group, self._name, min_idle_time=0, start_id=start, count=BATCH
            )
            for entry_id, fields in entries:
                if await self._deliveries(stream, entry_id) > DELIVERIES:
                    await self._put_aside(stream, entry_id, fields, f"{DELIVERIES} readers ended while they had it")
                else:
                    await self._settle(stream, [(entry_id, fields)], turn)
            if start == b"0-0":
                return

    async def _deliveries(self, stream: str, entry_id: bytes) -> int:
        pending = await self._valkey.xpending_range(stream, self._group, min=entry_id, max=entry_id, count=1)
        return int(pending[0]["times_delivered"]) if pending else 0

    async def _settle(self, stream: str, entries: Sequence[Any], turn: asyncio.Task[None]) -> None:
        """Handle entries in order, as long as it is our turn."""
        for entry_id, fields in entries:
            if turn.done():
                return
            try:
                event = Event.from_fields(fields)
            except ValueError as error:
                await self._put_aside(stream, entry_id, fields, str(error))
                continue
            if failure := await self._failure(self._areas[stream], event, turn):
                await self._put_aside(stream, entry_id, fields, failure)
            elif not turn.done():
                await self._valkey.xack(stream, self._group, entry_id)

    async def _failure(self, area: str, event: Event, turn: asyncio.Task[None]) -> str:
        """Handle one event, with patience; the error when it was tried often enough."""
        tries, pause = 0, RETRY_SECONDS
        told = {"group": self._group, "type": event.type, "event": event.event_id}
        while not turn.done():
            try:
                await self._handle(event)
            except (Unavailable, DeadlineExceeded) as error:
                self._waits_for = f"{event.type} cannot be handled for now: {error.message}"
                log.info("an event waits", extra={**told, "cause": error.message})
            except Exception as error:
                tries += 1
                FAILED.labels(self._group, area).inc()
                log.exception("an event could not be handled", extra={**told, "try": tries})
                if tries == TRIES:
                    self._waits_for = ""
                    return f"{type(error).__name__}: {error}"
            else:
                self._waits_for = ""
                HANDLED.labels(self._group, area).inc()
                return ""
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_RETRY_SECONDS)
        return ""

    async def _put_aside(self, stream: str, entry_id: bytes, fields: dict[Any, Any], why: str) -> None:
        """Give an event up, where somebody finds it, so that those behind it are heard."""
        area = self._areas[stream]
        aside = set_aside_of(area, self._group)
        pipeline = self._valkey.pipeline(transaction=True)
        pipeline.xadd(aside, {**fields, "entry": entry_id, "error": why}, maxlen=LONGEST_SET_ASIDE, approximate=True)
        pipeline.xack(stream, self._group, entry_id)
        await pipeline.execute()
        SET_ASIDE.labels(self._group, area).inc()
        log.error("an event was set aside", extra={"group": self._group, "stream": aside, "cause": why})
