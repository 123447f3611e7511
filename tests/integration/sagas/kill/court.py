"""Where sagas are struck: a database, a double of the receivers, and one life of the service after the other.

A life that took up what the one before it left is the one that is struck next: so a point costs one start. Its saga
ends in the next life, and is judged there.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from integration.sagas.place import LONG_PATIENCE, Nursery, Place, Service, until

from pyairtable_devkit.databases import Postgres

from .driven import DrivenSaga
from .messages import PREPARED, Reader
from .scenarios import Ended, Scenario, judge
from .supervision import Send

Strike = Callable[[Send], object]
REPLICA = "sagas-0"
IDLE_SECONDS = 2.0


@dataclass(frozen=True)
class Point:
    """Before the `number`th send that reads `send`."""

    send: str
    number: int


@dataclass(frozen=True)
class Verdict:
    """What came of a point; `ended` is None when `wrong` says what is."""

    was_reached: bool
    seconds: float
    ended: Ended | None = None
    wrong: str = ""


def kill_sender(send: Send) -> None:
    """Kill whoever is about to send. The thread waits for us, so the process is there."""
    os.kill(send.process, signal.SIGKILL)


class Aim:
    """Counts what one life sends, and strikes before a point."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.at(None, kill_sender)

    def at(self, point: Point | None, strike: Strike) -> None:
        """Count from here on, and strike at a point."""
        self.sent: list[Point] = []
        self.has_struck = False
        self._counts: Counter[str] = Counter()
        self._point, self._strike = point, strike

    def before_send(self, send: Send) -> None:
        name = self._reader.name(send)
        self._counts[name] += 1
        point = Point(name, self._counts[name])
        self.sent.append(point)
        if point == self._point and not self.has_struck:
            self.has_struck = True
            self._strike(send)


class Court:
    """One place. PostgreSQL is restarted when it is struck: then it must be this court's alone."""

    def __init__(self, nursery: Nursery, folder: Path, postgres: Postgres, database_url: str) -> None:
        folder.mkdir(exist_ok=True)
        self.place = Place(nursery, folder, database_url)
        self.place.start_receivers()
        self._postgres = postgres
        self._starter = ThreadPoolExecutor(1)  # servers die with the thread that started them
        ports = (urlsplit(database_url).port or 0, self.place.receivers_port, self.place.port_of(REPLICA))
        self._ports = ports
        self._aim = Aim(Reader(*ports))
        self._life: Service | None = None
        self._is_fresh = False

    async def close(self) -> None:
        await self.place.close()
        self._starter.shutdown()

    async def sends(self, scenario: Scenario, *, fresh: bool = True) -> list[Point]:
        """Every send of a saga, from its start to its end; with `fresh` also those that prepare statements."""
        if fresh:
            await self._fresh_life()
        return await self._recorded(scenario, self._unharmed)

    async def idle_sends(self) -> set[str]:
        """What is sent while there is nothing to do."""
        await self._fresh_life()
        self._aim.at(None, kill_sender)
        await asyncio.sleep(IDLE_SECONDS)
        return {point.send for point in self._aim.sent}

    async def sends_of_recovery(self, scenario: Scenario, anchor: Point) -> list[Point]:
        """Every send of the life that takes up what was killed at `anchor`, from its own start to the saga's end."""

        async def wait(saga: DrivenSaga) -> int:
            await self._killed_at(saga, anchor, None)
            await saga.ended()
            return 1

        return await self._recorded(scenario, wait)

    async def strike(self, scenario: Scenario, point: Point) -> Verdict:
        """Kill the service before a send, start it again, and judge what became of the saga."""
        if point.send.endswith(PREPARED):
            await self._fresh_life()  # each connection prepares a statement once

        async def wait(saga: DrivenSaga) -> int:
            await self._begin(saga, point, kill_sender)
            return await self._next_life(saga)

        return await self._judged(scenario, wait)

    async def strike_recovery(self, scenario: Scenario, anchor: Point, point: Point) -> Verdict:
        """Kill the service at `anchor`, and the life after it at `point`, counted from its own start."""

        async def wait(saga: DrivenSaga) -> int:
            await self._killed_at(saga, anchor, point)
            return 1 + await self._next_life(saga)

        return await self._judged(scenario, wait)

    async def strike_postgres(self, scenario: Scenario, point: Point) -> Verdict:
        """Kill PostgreSQL before a send, and start it again."""

        async def wait(saga: DrivenSaga) -> int:
            await self._begin(saga, point, lambda send: self._postgres.kill())
            if await self._struck_or_ended(saga):
                await until(lambda: not self._postgres.is_running(), "PostgreSQL to be dead")
                await asyncio.get_running_loop().run_in_executor(self._starter, self._postgres.restart)
            return 0

        return await self._judged(scenario, wait)

    async def strike_receivers(self, scenario: Scenario, call: int, *, after: bool) -> Verdict:
        """Kill the double in its nth call, before or after it had the effect, and start it again."""

        async def wait(saga: DrivenSaga) -> int:
            await self._living_life()
            self.place.fault(**scenario.faults, death={"call": call, "after": after, "name": saga.mark})
            receivers = self.place.receivers
            assert receivers is not None
            await self._begin(saga, None, kill_sender)
            await until(lambda: saga.has_ended() or not receivers.is_alive(), "the double to die")
            if not receivers.is_alive():
                self._aim.has_struck = True
                self.place.start_receivers()
            return 0

        return await self._judged(scenario, wait)

    async def _unharmed(self, saga: DrivenSaga) -> int:
        await self._begin(saga, None, kill_sender)
        return 0

    async def _recorded(self, scenario: Scenario, wait: Callable[[DrivenSaga], Awaitable[int]]) -> list[Point]:
        sent: list[Point] = []

        async def recorded(saga: DrivenSaga) -> int:
            kills = await wait(saga)
            await saga.ended()
            sent.extend(self._aim.sent)
            return kills

        verdict = await self._judged(scenario, recorded)
        assert verdict.ended is not None, verdict.wrong
        return sent

    async def _judged(self, scenario: Scenario, wait: Callable[[DrivenSaga], Awaitable[int]]) -> Verdict:
        """Run a saga while something strikes, wait for its end, and judge it."""
        begun = time.monotonic()
        self.place.fault(**scenario.faults)
        saga = DrivenSaga(self.place, scenario, self._target)
        try:
            kills = await wait(saga)
            was_reached = self._aim.has_struck or kills > 0
            await saga.ended()
            ended = await judge(self.place, scenario, saga.saga_id, saga.begin, kills)
        except Exception as error:  # whatever it is, it is what the sweep is after
            await self._end_life()  # the next point begins anew
            return Verdict(self._aim.has_struck, time.monotonic() - begun, wrong=f"{type(error).__name__}: {error}")
        finally:
            saga.close()
            self._aim.at(None, kill_sender)
        return Verdict(was_reached, time.monotonic() - begun, ended)

    async def _begin(self, saga: DrivenSaga, point: Point | None, strike: Strike) -> None:
        await self._living_life()
        self._aim.at(point, strike)
        saga.start()

    async def _killed_at(self, saga: DrivenSaga, anchor: Point, point: Point | None) -> None:
        """Kill the service at `anchor`, and begin the next life, which is struck at `point`."""
        await self._begin(saga, anchor, kill_sender)
        assert await self._struck_or_ended(saga), f"the saga never came to {anchor}"
        await self._begin_life(point)

    async def _next_life(self, saga: DrivenSaga) -> int:
        """Wait for the kill and begin the next life; how many were killed."""
        if not await self._struck_or_ended(saga):
            return 0
        await self._begin_life(None)
        return 1

    async def _struck_or_ended(self, saga: DrivenSaga) -> bool:
        """Wait for the stroke, or for the end of the saga if it comes first; whether it was the stroke."""
        ends = time.monotonic() + LONG_PATIENCE
        while not self._aim.has_struck and not saga.has_ended():
            assert time.monotonic() < ends, "the saga neither ended nor came to the point"
            await asyncio.sleep(0.01)
        return self._aim.has_struck

    def _target(self) -> str:
        assert self._life is not None
        return self._life.target

    async def _living_life(self) -> None:
        if self._life is None or not self._life.is_alive():
            await self._fresh_life()
        self._is_fresh = False

    async def _fresh_life(self) -> None:
        """Have a life that has not carried out any saga yet."""
        if self._life is None or not self._life.is_alive() or not self._is_fresh:
            await self._end_life()
            await self._begin_life(None)
            self._is_fresh = True

    async def _end_life(self) -> None:
        if self._life is not None:
            self._life.kill()
            await self._life.gone()

    async def _begin_life(self, point: Point | None) -> None:
        """The next life, when the one before is gone; it is struck at `point`, counted from its first send."""
        if self._life is not None:
            await self._life.gone()
        self._aim = Aim(Reader(*self._ports))
        self._aim.at(point, kill_sender)
        self._life = life = self.place.start(REPLICA, before_send=self._aim.before_send)
        self._is_fresh = False
        if point is None:
            await until(lambda: life.is_ready() or not life.is_alive(), "the service to be ready")
