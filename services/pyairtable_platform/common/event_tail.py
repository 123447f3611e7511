"""Hearing events in every replica, from now on: for what a process only remembers.

No group and nothing kept: what was missed while Valkey was away is told as one "something may have been missed".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from .event import Event, stream_of

log = logging.getLogger(__name__)

BLOCK_SECONDS = 1.0
BATCH = 100


class Tail:
    """Calls `heard` with each event of some areas, and `missed` when some may have gone by unheard."""

    def __init__(
        self, valkey: Redis, areas: Sequence[str], *, heard: Callable[[Event], None], missed: Callable[[], None]
    ) -> None:
        self._valkey = valkey
        self._streams = [stream_of(area) for area in areas]
        self._heard = heard
        self._missed = missed

    async def run(self) -> None:
        """Listen for ever."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                log.warning("events are not heard for now", extra={"cause": type(error).__name__})
            await asyncio.sleep(BLOCK_SECONDS)

    async def _listen(self) -> None:
        """From the present end of each stream on; raises when Valkey is away, returns when it began anew."""
        positions = {stream: await self._last_id(stream) for stream in self._streams}
        self._missed()
        while True:
            asked: dict[Any, Any] = dict(positions)
            read: Any = await self._valkey.xread(asked, count=BATCH, block=int(BLOCK_SECONDS * 1000))
            for stream, entries in read or ():
                for entry_id, fields in entries:
                    self._tell(fields)
                    positions[stream.decode()] = entry_id

    async def _last_id(self, stream: str) -> bytes:
        entries: Any = await self._valkey.xrevrange(stream, count=1)
        return bytes(entries[0][0]) if entries else b"0-0"

    def _tell(self, fields: Any) -> None:
        try:
            event = Event.from_fields(fields)
        except ValueError:
            self._missed()
        else:
            self._heard(event)
