"""When a call may be sent: permits for this replica, from the store that all share or from its own share.

The windows of all replicas live in one store (valkey.py). A replica that loses the store goes on alone with a share of
the limit that is safe with every other replica doing the same (`Pace.share`). What a window is stands in windows.py.
No gRPC, HTTP, Redis here.
"""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyairtable_platform.common.errors import Unavailable

from .metrics import STORE_SWITCHES
from .windows import SHORTEST_WAIT, Answer, Ask, Granted, Pace, PermitStore, StoreAway, Wait, Window

log = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Seconds that only ever grow, as time.monotonic."""


@dataclass(slots=True)
class Permit:
    """The right to send one call now. Use it or release it."""

    limiter: Limiter
    ask: Ask
    not_before: float
    """When the call may be sent."""
    not_after: float
    """When the permit is stale."""

    async def renew(self) -> None:
        """Wait for the time of the permit and make sure that it is fresh, just before the first byte is written.

        A new connection takes a while (TCP, TLS), so that the permit may have become stale: then another is drawn.
        Raises Paused when Airtable has begun to refuse calls meanwhile.
        """
        await self.limiter.renew(self)

    def sent(self) -> None:
        """The last byte is written."""
        self.limiter.report_sent(self)

    def answered(self) -> None:
        """An answer has begun to come."""
        self.limiter.report_answered(self)

    def release(self) -> None:
        """Nothing was sent."""
        self.limiter.report_released(self)


class Paused(Exception):
    """Airtable refuses calls for so many seconds more; nothing was sent."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"paused for {seconds:.1f} s")
        self.seconds = seconds


@dataclass
class Limiter:
    """Permits for this replica: from the shared store, or from its own share while the store is away.

    Neither switch may let more through than the limit:
    - away: with other replicas around, own permits begin only when the store must have stopped counting this replica as
      present (`presence`) and what it granted meanwhile has left the window (`hold`);
    - back: own permits end at the first contact; the replica counts as present, which gives its share back to all, only
      when its last own permit has left the window (`hold`).
    Own windows record the permits of both sides, so that a single replica can go on at once.
    """

    store: PermitStore
    pace: Pace
    clock: Clock
    beat_seconds: float = 0.5
    _windows: dict[str, Window] = field(default_factory=dict)
    _paused: dict[str, float] = field(default_factory=dict)
    _reports: set[asyncio.Task[None]] = field(default_factory=set)
    _most_seen: int = 1

    def __post_init__(self) -> None:
        self._is_away = True  # until the first contact
        self._lost_at = -math.inf
        self._alone_from = self.clock() + self._cut_off_seconds()
        self._last_own_grant = -math.inf

    @property
    def is_away(self) -> bool:
        """True while the shared store is not used."""
        return self._is_away

    @property
    def present(self) -> int:
        """The most replicas ever seen at once."""
        return self._most_seen

    async def keep_in_touch(self) -> None:
        """Show this replica to the store for ever; the only way back after the store was away."""
        while True:
            await self.beat()
            await asyncio.sleep(self.beat_seconds)

    async def beat(self) -> None:
        """Show this replica to the store once, and notice whether the store is there."""
        try:
            if self._is_away:
                await self._come_back()
            if not self._is_away:
                drained = self.clock() >= self._last_own_grant + self.pace.hold
                self._most_seen = max(self._most_seen, await self.store.beat(join=drained))
        except StoreAway as error:
            self._lose(error)

    async def _come_back(self) -> None:
        """Use the store again if it answers. What it had forgotten when we lost it is no more in any window by then."""
        await self.store.beat(join=False)
        if self.clock() >= self._lost_at + self.pace.hold:
            self._is_away = False
            STORE_SWITCHES.labels("shared").inc()
            log.info("the shared limiter store answers: permits come from it")

    async def draw(self, ask: Ask) -> Permit | Wait:
        """A permit for the call, or the time after which to ask again."""
        before = self.clock()
        pause = self.paused_for(ask.names)
        if pause > 0:
            return Wait(pause, paused=True)
        answer = await self._ask_store(ask)
        if answer is None:
            answer = self._ask_alone(ask)
        if isinstance(answer, Wait):
            if answer.paused:
                self._note_pause(ask.names[0], answer.seconds)
            return Wait(max(answer.seconds, SHORTEST_WAIT), answer.paused)
        after = self.clock()
        self._record(ask, after + answer.delay)
        # By the store's clock the question came after `before` and its answer was given before `after`.
        return Permit(self, ask, after + answer.delay, before + answer.delay + self.pace.lease / 2)

    async def renew(self, permit: Permit) -> None:
        """See Permit.renew."""
        await self._until(permit.not_before)
        while self.clock() > permit.not_after or self.paused_for(permit.ask.names) > 0:
            self.report_released(permit)
            permit.ask = Ask(new_permit_id(), permit.ask.windows, permit.ask.bulk)
            answer = await self.draw(permit.ask)
            while isinstance(answer, Wait):
                if answer.paused:
                    raise Paused(answer.seconds)
                await asyncio.sleep(answer.seconds)
                answer = await self.draw(permit.ask)
            permit.not_before, permit.not_after = answer.not_before, answer.not_after
            await self._until(permit.not_before)

    async def _until(self, moment: float) -> None:
        left = moment - self.clock()
        if left > 0:
            await asyncio.sleep(left)

    def paused_for(self, names: Sequence[str]) -> float:
        """Seconds for which Airtable is known to refuse calls in any of these windows; 0 is none."""
        now = self.clock()
        return max((max(0.0, self._paused.get(name, 0.0) - now) for name in names), default=0.0)

    async def refused(self, permit: Permit, retry_after: float | None) -> float:
        """Airtable answered 429: pause the window for all replicas. Returns for how long."""
        wanted = self.pace.penalty if retry_after is None else max(retry_after, 1.0)
        seconds = min(wanted, self.pace.longest_penalty)
        name = permit.ask.names[0]
        self._note_pause(name, seconds)
        try:
            await self.store.pause(name, seconds)
        except StoreAway as error:
            self._lose(error)
        return seconds

    def report_sent(self, permit: Permit) -> None:
        for name in permit.ask.names:
            self._window(name).lower(permit.ask.permit, self.clock() + self.pace.jitter)
        self._report(self.store.sent(permit.ask))

    def report_answered(self, permit: Permit) -> None:
        for name in permit.ask.names:
            self._window(name).lower(permit.ask.permit, self.clock())
        self._report(self.store.answered(permit.ask))

    def report_released(self, permit: Permit) -> None:
        for name in permit.ask.names:
            self._window(name).release(permit.ask.permit)
        self._report(self.store.release(permit.ask))

    async def close(self) -> None:
        """Let the last reports go out."""
        await asyncio.gather(*self._reports, return_exceptions=True)

    async def _ask_store(self, ask: Ask) -> Answer | None:
        if self._is_away:
            return None
        try:
            answer = await self.store.ask(ask)
        except StoreAway as error:
            self._lose(error)
            return None
        if isinstance(answer, Granted):
            self._most_seen = max(self._most_seen, answer.present)
        return answer

    def _ask_alone(self, ask: Ask) -> Answer:
        """A permit from this replica's own share."""
        now, replicas = self.clock(), max(self.pace.replicas, self._most_seen)
        if now < self._alone_from:
            return Wait(self._alone_from - now)
        for name, limit in ask.windows:
            share = self.pace.share(limit, replicas)
            if share == 0:
                raise Unavailable(
                    f"the shared limiter store is away, and with {replicas} replicas none of them may call Airtable "
                    "alone without exceeding its limits: repeat when the store is back",
                    dependency="redis",
                )
            if self._window(name).place_at(now, share) > now:
                expected = self._window(name).place_at(now, share, expected_by=self.pace)
                return Wait(max(SHORTEST_WAIT, expected - now))
        self._last_own_grant = now
        return Granted()

    def _cut_off_seconds(self) -> float:
        """How long after the last contact the other replicas may still be using the whole limit."""
        return self.pace.reach + self.pace.presence + self.pace.hold

    def _lose(self, error: StoreAway) -> None:
        if not self._is_away:
            self._is_away = True
            self._lost_at = self.clock()
            others = max(self.pace.replicas, self._most_seen) > 1
            self._alone_from = self._lost_at + (self._cut_off_seconds() if others else 0.0)
            STORE_SWITCHES.labels("own").inc()
            log.warning(
                "the shared limiter store is away: this replica goes on with its own share",
                extra={"cause": str(error), "replicas": self.pace.replicas},
            )

    def _record(self, ask: Ask, start: float) -> None:
        now = self.clock()
        self._windows = {name: window for name, window in self._windows.items() if window.place_at(now, 1) > now}
        for name in ask.names:
            self._window(name).grant(ask.permit, start, self.pace)

    def _window(self, name: str) -> Window:
        return self._windows.setdefault(name, Window())

    def _note_pause(self, name: str, seconds: float) -> None:
        self._paused = {key: until for key, until in self._paused.items() if until > self.clock()}
        self._paused[name] = max(self._paused.get(name, 0.0), self.clock() + seconds)

    def _report(self, report: Coroutine[Any, Any, None]) -> None:
        """Tell the store without keeping the call waiting. A report that is lost only leaves the place taken longer."""
        if self._is_away:
            report.close()
            return
        task = asyncio.create_task(self._deliver(report))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _deliver(self, report: Awaitable[None]) -> None:
        try:
            await report
        except StoreAway as error:
            self._lose(error)


def new_permit_id() -> str:
    return uuid.uuid4().hex
