"""The queue before Airtable: one line for each base, from which permits of the limiter are handed out.

A permit is drawn first and given to whoever is first then, so that an interactive call overtakes bulk work at the last
moment. A call that cannot make its deadline is refused at once with the wait it would need. No gRPC, HTTP, Redis here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from pyairtable_platform.common.errors import RateLimited

from . import metrics
from .fair_queue import FairQueue
from .limiter import Clock, Limiter, Permit, new_permit_id
from .windows import Ask, Wait


@dataclass(frozen=True, slots=True)
class Turn:
    """What a call asks the scheduler for."""

    base_id: str
    """Empty for calls that concern no base."""
    token_key: str
    """Tells tokens apart without being one."""
    caller: str
    """Whose call it is, for fairness."""
    bulk: bool = False
    deadline: float | None = None
    """A time of the clock after which the answer is of no use."""


@dataclass(eq=False, slots=True)
class _Ticket:
    turn: Turn
    permit: asyncio.Future[Permit]

    @property
    def caller(self) -> str:
        return self.turn.caller

    @property
    def bulk(self) -> bool:
        return self.turn.bulk


@dataclass
class _Line:
    """The calls of one base, and the task that hands permits to them while there are any."""

    queue: FairQueue[_Ticket] = field(default_factory=FairQueue)
    pump: asyncio.Task[None] | None = None
    next_permit_at: float = 0.0


class Scheduler:
    """Hands out the right to call Airtable."""

    def __init__(self, limiter: Limiter, *, clock: Clock, longest_queue: int = 1000) -> None:
        self._limiter = limiter
        self._clock = clock
        self._longest_queue = longest_queue
        self._lines: dict[str, _Line] = {}

    async def permit(self, turn: Turn) -> Permit:
        """Wait for the turn of a call. Raises RateLimited when it cannot come in time."""
        name = self._windows(turn)[0][0]
        line = self._lines.setdefault(name, _Line())
        self._refuse_hopeless(turn, line)
        started = self._clock()
        ticket = _Ticket(turn, asyncio.get_running_loop().create_future())
        line.queue.push(ticket)
        metrics.QUEUED.inc()
        if line.pump is None:
            line.pump = asyncio.create_task(self._hand_out(name, line), name=f"permits {name}")
        try:
            return await self._wait(ticket, line)
        finally:
            metrics.QUEUED.dec()
            metrics.WAIT_SECONDS.labels("bulk" if turn.bulk else "interactive").observe(self._clock() - started)

    def expected_wait(self, turn: Turn) -> float:
        """Seconds that a call would wait at least if it asked now."""
        windows = self._windows(turn)
        line = self._lines.get(windows[0][0])
        paused = self._limiter.paused_for([name for name, _ in windows])
        if line is None:
            return paused
        ahead = line.queue.ahead_of_new(turn.caller, bulk=turn.bulk)
        next_permit = max(0.0, line.next_permit_at - self._clock()) if len(line.queue) else 0.0
        return max(paused, next_permit) + ahead / windows[0][1]

    async def close(self) -> None:
        """Stop handing out; whoever still waits is told."""
        pumps = [line.pump for line in self._lines.values() if line.pump is not None]
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def _wait(self, ticket: _Ticket, line: _Line) -> Permit:
        deadline = ticket.turn.deadline
        try:
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - self._clock())):
                return await ticket.permit
        except TimeoutError:
            self._give_back(ticket, line)
            raise self._too_late(self.expected_wait(ticket.turn)) from None
        except asyncio.CancelledError:
            self._give_back(ticket, line)
            raise

    def _give_back(self, ticket: _Ticket, line: _Line) -> None:
        """Leave the line; a permit that came at the same moment is not lost."""
        if ticket.permit.done() and not ticket.permit.cancelled():
            if ticket.permit.exception() is None:
                ticket.permit.result().release()
        elif ticket in list(line.queue):
            line.queue.give_up(ticket)

    async def _hand_out(self, name: str, line: _Line) -> None:
        """Draw permits as long as somebody waits."""
        try:
            while (first := line.queue.first()) is not None:
                ask = Ask(new_permit_id(), self._windows(first.turn), first.bulk)
                answer = await self._draw(ask, line)
                if isinstance(answer, Permit):
                    self._give(answer, first.turn.token_key, line)
                elif answer is not None:
                    line.next_permit_at = self._clock() + answer.seconds
                    if answer.paused:
                        self._refuse_those_who_cannot_wait(line, answer.seconds)
                    await asyncio.sleep(answer.seconds)
        finally:
            line.pump = None
            self._lines.pop(name, None)
            for ticket in list(line.queue):
                ticket.permit.cancel()

    async def _draw(self, ask: Ask, line: _Line) -> Permit | Wait | None:
        """A permit or a wait; None when none can be had, which all who wait are told."""
        try:
            return await self._limiter.draw(ask)
        except Exception as error:  # whatever it is, those who wait must not wait for ever
            for ticket in list(line.queue):
                self._refuse(ticket, line, error)
            return None

    def _give(self, permit: Permit, token_key: str, line: _Line) -> None:
        """Give a permit to the first of those whose token it is for."""
        for ticket in [ticket for ticket in line.queue if ticket.permit.done()]:
            line.queue.give_up(ticket)  # its caller has left and only has not run yet
        first = line.queue.first()
        if first is None or first.turn.token_key != token_key:
            first = next((ticket for ticket in line.queue if ticket.turn.token_key == token_key), None)
        if first is None:
            permit.release()
            return
        line.queue.serve(first)
        first.permit.set_result(permit)

    def _refuse_hopeless(self, turn: Turn, line: _Line) -> None:
        wait = self.expected_wait(turn)
        if len(line.queue) >= self._longest_queue:
            metrics.TURNED_AWAY.labels("queue full").inc()
            raise RateLimited(
                f"{len(line.queue)} calls wait for Airtable already; come back in about {wait:.0f} s",
                retry_after=max(wait, 1.0),
            )
        if turn.deadline is not None and self._clock() + wait > turn.deadline:
            raise self._too_late(wait)

    def _refuse_those_who_cannot_wait(self, line: _Line, seconds: float) -> None:
        end = self._clock() + seconds
        for ticket in list(line.queue):
            if ticket.turn.deadline is not None and ticket.turn.deadline < end:
                self._refuse(ticket, line, self._too_late(seconds))

    @staticmethod
    def _refuse(ticket: _Ticket, line: _Line, error: Exception) -> None:
        line.queue.give_up(ticket)
        if not ticket.permit.done():
            ticket.permit.set_exception(error)

    @staticmethod
    def _too_late(wait: float) -> RateLimited:
        metrics.TURNED_AWAY.labels("deadline").inc()
        return RateLimited(
            f"Airtable's rate limit leaves no room before the deadline of this call: it would wait {wait:.1f} s",
            retry_after=max(wait, 0.2),
        )

    def _windows(self, turn: Turn) -> tuple[tuple[str, int], ...]:
        """The windows that a call counts in; the first is the one it queues for."""
        pace = self._limiter.pace
        token = (f"token:{turn.token_key}", pace.token_limit)
        return ((f"base:{turn.base_id}", pace.base_limit), token) if turn.base_id else (token,)
