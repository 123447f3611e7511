"""A simulated cluster: an event loop whose clock jumps, a store and an Airtable that live in it.

`asyncio.sleep`, time-outs and loop.time() all run on virtual time, so that a minute of traffic takes milliseconds and
every schedule can be repeated from its seed.
"""

from __future__ import annotations

import asyncio
import math
import random
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pyairtable_platform.airtable_gateway.limiter import Limiter, Permit
from pyairtable_platform.airtable_gateway.scheduler import Scheduler
from pyairtable_platform.airtable_gateway.windows import (
    GRANT_AHEAD,
    Answer,
    Ask,
    Granted,
    Pace,
    StoreAway,
    Wait,
    Window,
)

T = TypeVar("T")

_KEEP_PLACE, _BULK_STANDS_BACK, _GAP = 0.15, 0.5, 0.9


class _JumpingSelector(selectors.SelectSelector):
    """Never waits: says that the time it was to wait has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("the simulation waits for something that will never happen")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class SimulatedStore:
    """The rules of limiter.lua in Python: test_limiter_lua.py holds the two against each other."""

    pace: Pace
    clock: Callable[[], float] = now
    shift: float = 0.0
    """How far its clock is from the true one."""
    windows: dict[str, Window] = field(default_factory=dict)
    queues: dict[str, dict[str, float]] = field(default_factory=dict)
    promised: dict[str, dict[str, float]] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    crowded: dict[str, float] = field(default_factory=dict)
    pauses: dict[str, float] = field(default_factory=dict)
    replicas: dict[str, float] = field(default_factory=dict)
    born: float | None = None

    def time(self) -> float:
        """What its clock shows."""
        return self.clock() + self.shift

    def forget(self) -> None:
        """What a restart of Valkey does."""
        for memory in (self.windows, self.queues, self.promised, self.last, self.crowded, self.pauses, self.replicas):
            memory.clear()
        self.born = None

    def present(self) -> int:
        moment, longest = self.time(), self.time() + self.pace.presence + 1.0
        self.replicas = {name: until for name, until in self.replicas.items() if moment < until < longest}
        return len(self.replicas)

    def _remember_birth(self) -> None:
        if self.born is None or self.born > self.time():
            self.born = self.time()

    def beat(self, replica: str, *, join: bool) -> int:
        self._remember_birth()
        if join:
            self.replicas[replica] = self.time() + self.pace.presence
        return self.present()

    def ask(self, replica: str, ask: Ask) -> Answer:
        moment, present = self.time(), self.present()
        self._remember_birth()
        for name in ask.names:
            if self.pauses.get(name, -math.inf) > moment:
                return Wait(self.pauses[name] - moment, paused=True)
        if self.born is not None and moment < self.born + self.pace.hold:
            return Wait(self.born + self.pace.hold - moment)
        start = probably = moment
        for position, (name, limit) in enumerate(ask.windows):
            window = self.windows.setdefault(name, Window())
            limit = self.pace.shared_limit(limit, present)
            if max(window._latest.values(), default=-math.inf) > moment + self.pace.lease + 1.0:  # the clock went back
                del self.windows[name]
                self.queues.pop(ask.names[0], None)
                self.promised.pop(ask.names[0], None)
                self.born = moment
                return Wait(self.pace.hold)
            ahead, due = 0, 0
            if position == 0:
                ahead, due = self._line_up(replica, name, ask)
                start = max(start, self._after_gap(name, limit, due))
                probably = max(probably, self._after_gap(name, limit, ahead))
            start = max(start, window.place_at(moment, limit, ahead=due))
            probably = max(probably, window.place_at(moment, limit, ahead=ahead, expected_by=self.pace))
        return self._answer(replica, ask, start, probably, present)

    def _line_up(self, replica: str, name: str, ask: Ask) -> tuple[int, int]:
        queue, promised = self.queues.setdefault(name, {}), self.promised.setdefault(name, {})
        for gone in [other for other, until in promised.items() if until <= self.time()]:
            queue.pop(gone, None)
            del promised[gone]
        queue.setdefault(replica, self.time() + (_BULK_STANDS_BACK if ask.bulk else 0.0))
        order = sorted(queue, key=lambda other: (queue[other], other))
        before = order[: order.index(replica)]
        return len(before), sum(promised.get(other, -math.inf) <= self.time() + _KEEP_PLACE for other in before)

    def _after_gap(self, name: str, limit: int, ahead: int) -> float:
        is_crowded = name in self.crowded and self.time() < self.crowded[name] + 1.0
        if not is_crowded or name not in self.last or self.last[name] > self.time() + 1.0 or limit <= 0:
            return self.time()
        return self.last[name] + math.floor(_GAP / limit * 1e6) / 1e6 * (ahead + 1)

    def _answer(self, replica: str, ask: Ask, start: float, probably: float, present: int) -> Answer:
        name, moment = ask.names[0], self.time()
        if start > moment:
            self.crowded[name] = moment
        if start > moment + GRANT_AHEAD:
            wait = max(0.005, probably - GRANT_AHEAD / 2 - moment)
            self.promised[name][replica] = moment + wait + _KEEP_PLACE
            return Wait(wait)
        self.queues[name].pop(replica, None)
        self.promised[name].pop(replica, None)
        self.last[name] = start
        for each in ask.names:
            self.windows[each].grant(ask.permit, start, self.pace)
        return Granted(present, start - moment)


@dataclass
class Link:
    """One replica's way to the store: delays, and times at which it is cut. A PermitStore."""

    store: SimulatedStore
    replica: str
    dice: random.Random
    delay: float = 0.001
    outages: list[tuple[float, float]] = field(default_factory=list)
    sample: tuple[float, float, float] | None = None

    def is_cut(self) -> bool:
        return any(start <= now() < end for start, end in self.outages)

    async def _reach(self, action: Callable[[], T]) -> T:
        """There and back. A link that is cut on the way back has carried the command out."""
        if self.is_cut():
            raise StoreAway("cut")
        before = now()
        await asyncio.sleep(self.dice.uniform(0, self.delay))
        if self.is_cut():
            await asyncio.sleep(0.2)
            raise StoreAway("cut")
        result, shown = action(), self.store.time()
        await asyncio.sleep(self.dice.uniform(0, self.delay))
        if self.is_cut():
            raise StoreAway("cut")
        self._check_clock(before, shown)
        return result

    def _check_clock(self, before: float, shown: float) -> None:
        """As ValkeyPermits does."""
        previous, self.sample = self.sample, (before, now(), shown)
        if previous is not None:
            least, most = before - previous[1], now() - previous[0]
            if not least - 0.005 <= shown - previous[2] <= most + 0.005:
                raise StoreAway("the clock was changed")

    async def ask(self, ask: Ask) -> Answer:
        return await self._reach(lambda: self.store.ask(self.replica, ask))

    async def beat(self, *, join: bool) -> int:
        return await self._reach(lambda: self.store.beat(self.replica, join=join))

    async def sent(self, ask: Ask) -> None:
        await self._reach(lambda: self._lower(ask, self.store.time() + self.store.pace.jitter))

    async def answered(self, ask: Ask) -> None:
        await self._reach(lambda: self._lower(ask, self.store.time()))

    async def release(self, ask: Ask) -> None:
        await self._reach(lambda: self._release(ask))

    async def pause(self, name: str, seconds: float) -> None:
        until = self.store.time() + seconds
        await self._reach(lambda: self.store.pauses.update({name: max(until, self.store.pauses.get(name, -math.inf))}))

    def _release(self, ask: Ask) -> None:
        for name in ask.names:
            if name in self.store.windows:
                self.store.windows[name].release(ask.permit)

    def _lower(self, ask: Ask, latest: float) -> None:
        for name in ask.names:
            if name in self.store.windows:
                self.store.windows[name].lower(ask.permit, latest)


@dataclass
class Airtable:
    """Notes arrivals. Calls are under way for up to `jitter` and are answered after some work."""

    jitter: float
    dice: random.Random
    work: float = 0.3
    arrivals: dict[str, list[float]] = field(default_factory=dict)

    async def call(self, base: str, permit: Permit, *, handshake: float = 0.0) -> None:
        """What airtable.py does: connect, pass the gate, write, read."""
        await asyncio.sleep(handshake)
        await permit.renew()
        permit.sent()
        await asyncio.sleep(self.dice.uniform(0, self.jitter))
        self.arrivals.setdefault(base, []).append(now())
        await asyncio.sleep(self.dice.uniform(0, self.work))
        permit.answered()


@dataclass
class Replica:
    """One gateway process of the simulation."""

    limiter: Limiter
    scheduler: Scheduler

    @classmethod
    async def start(cls, link: Link, pace: Pace) -> Replica:
        limiter = Limiter(link, pace, now)
        await limiter.beat()
        return cls(limiter, Scheduler(limiter, clock=now))


def peak(arrivals: list[float], window: float = 1.0) -> int:
    """The most arrivals in any second: those at t count against those before t + 1."""
    times = sorted(arrivals)
    most, first = 0, 0
    for last, moment in enumerate(times):
        while moment - times[first] >= window - 1e-9:
            first += 1
        most = max(most, last - first + 1)
    return most


def rate(arrivals: list[float]) -> float:
    """Arrivals a second once the first burst is over."""
    times = sorted(arrivals)[10:]
    rounds = (len(times) - 1) // 5
    return rounds * 5 / (times[-1] - times[-1 - rounds * 5])
