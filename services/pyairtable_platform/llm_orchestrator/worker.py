"""Works on runs, one writer per run, by lease.

Takes over what another worker left, and hands over what it cannot finish itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable

from pyairtable_platform.common import context
from pyairtable_platform.common.context import CallContext
from pyairtable_platform.common.errors import Internal, Unavailable
from pyairtable_platform.common.tracing import span
from pyairtable_platform.common.wakeups import Wakeups
from pyairtable_platform.common.workspace import name_of

from . import telemetry
from .entities import Lease, RunState
from .loop import Ended, ToolLoop
from .ports import LeaseLost, LogUnavailable, Turn
from .store.journal import RunJournal
from .store.leases import LeaseStore
from .store.rows import cancel_key

log = logging.getLogger(__name__)

CLAIM_SECONDS = 1.0
RETRY_SECONDS = 0.5


def worker_name() -> str:
    """Tells workers apart for people who look at the table of runs."""
    return f"worker-{uuid.uuid4().hex[:12]}"


class Worker:
    """Runs turns in the background of this process, `capacity` at a time."""

    def __init__(
        self,
        leases: LeaseStore,
        journal_of: Callable[[Lease], RunJournal],
        loop: ToolLoop,
        wakeups: Wakeups,
        *,
        capacity: int,
        history_tokens: int,
    ) -> None:
        self._leases = leases
        self._journal_of = journal_of
        self._loop = loop
        self._wakeups = wakeups
        self._capacity = capacity
        self._history_tokens = history_tokens
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving = False

    def owner(self) -> str:
        """The name for the lease of a new run; empty when this worker has no room, so that any other may take it."""
        return self._leases.owner if self._room() > 0 else ""

    def take(self, lease: Lease) -> None:
        """Begin to work on a run."""
        task = asyncio.create_task(self._work(lease), name=f"run {lease.run_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self) -> None:
        """Look for runs that nobody works on, for ever."""
        while True:
            try:
                await self._claim()
            except Unavailable:
                log.warning("cannot look for abandoned runs: PostgreSQL is away")
            await asyncio.sleep(CLAIM_SECONDS)

    def drain(self) -> None:
        """Take no more runs; those in progress go on."""
        self._leaving = True

    async def leave(self) -> None:
        """Stop, and give the runs back so that another worker, or the next start, takes them at once."""
        self.drain()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _room(self) -> int:
        return 0 if self._leaving else self._capacity - len(self._tasks)

    async def _claim(self) -> None:
        if self._room() <= 0:
            return
        for lease in await self._leases.claim(self._room()):
            log.info("took over a run", extra={"run": lease.run_id, "lease": lease.token})
            telemetry.TAKEOVERS.inc()
            self.take(lease)

    async def _work(self, lease: Lease) -> None:
        call = CallContext(
            request_id=lease.request_id, workspace=name_of(lease.tenant), tenant=lease.tenant, role=lease.role
        )
        with context.entered(call), telemetry.RUNS_IN_PROGRESS.track_inprogress():
            try:
                await self._until_ended(lease)
            except LeaseLost:
                log.info("the run has another worker, or is gone", extra={"run": lease.run_id})
            except asyncio.CancelledError:
                await self._release(lease)
                raise
            except Exception:
                log.exception("a run failed unexpectedly", extra={"run": lease.run_id})
                await self._give_up(lease)

    async def _until_ended(self, lease: Lease) -> None:
        """Work until the run has ended. When the log was away, go on from what it holds."""
        while True:
            try:
                return await self._attempt(lease)
            except LogUnavailable:
                log.warning("the log of a run is away", extra={"run": lease.run_id})
            await asyncio.sleep(RETRY_SECONDS)

    async def _attempt(self, lease: Lease) -> None:
        with self._wakeups.waiting_for(cancel_key(lease.run_id)) as asked:  # before the first look: none is missed
            await self._attempt_unless(asked, lease)

    async def _attempt_unless(self, asked: asyncio.Event, lease: Lease) -> None:
        """Load the turn and run it to its end, unless somebody asks for it to be stopped."""
        claimed = await self._leases.load(lease, history_tokens=self._history_tokens)
        journal = self._journal_of(lease)
        if claimed.cancel_requested:
            return await self._cancel(journal)
        work = asyncio.create_task(self._turn(claimed.turn, journal, claimed.seconds_left))
        guard = asyncio.create_task(self._guard(lease, asked))
        try:
            await asyncio.wait({work, guard}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            finished = work.done()
            work.cancel()
            guard.cancel()
            await asyncio.wait({work, guard})
        if finished:
            return await self._finish(claimed.turn, journal, work.result())
        guard.result()  # raises when the lease is lost; else somebody wants the run stopped
        return await self._cancel(journal)

    async def _turn(self, turn: Turn, journal: RunJournal, seconds: float) -> Ended:
        with span("invoke_workflow chat", gen_ai__operation__name="invoke_workflow", gen_ai__workflow__name="chat"):
            return await self._loop.run(turn, journal, seconds=seconds)

    async def _finish(self, turn: Turn, journal: RunJournal, ended: Ended) -> None:
        if ended.error is None:
            await journal.complete(ended.cost)
        else:
            log.info("a run failed", extra={"run": turn.run_id, "reason": str(ended.error.reason)})
            await journal.fail(ended.error, ended.cost)
        telemetry.RUNS.labels(RunState.COMPLETED if ended.error is None else RunState.FAILED).inc()
        if ended.cost.usd is not None and turn.cost.usd is not None:
            telemetry.COST.labels(turn.model).inc(float(ended.cost.usd - turn.cost.usd))

    async def _cancel(self, journal: RunJournal) -> None:
        await journal.cancel()
        telemetry.RUNS.labels(RunState.CANCELLED).inc()

    async def _guard(self, lease: Lease, asked: asyncio.Event) -> None:
        """Keep the lease; return when somebody wants the run stopped. Raises LeaseLost or LogUnavailable."""
        kept_at = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(self._leases.seconds / 3):
                    await asked.wait()
            except TimeoutError:
                pass  # time to renew
            asked.clear()
            try:
                if await self._leases.renew(lease):
                    return
                kept_at = time.monotonic()
            except LogUnavailable:
                if time.monotonic() - kept_at > self._leases.seconds:
                    raise  # by now another worker may have it

    async def _release(self, lease: Lease) -> None:
        try:
            await self._leases.release(lease)
        except LogUnavailable:
            log.warning("a run could not be given back; it is taken over later", extra={"run": lease.run_id})

    async def _give_up(self, lease: Lease) -> None:
        told = Internal(f"something went wrong here; request {lease.request_id} finds it in the logs")
        try:
            await self._journal_of(lease).fail(told)
        except (LeaseLost, LogUnavailable):
            log.warning("a failed run could not be ended; it is taken over later", extra={"run": lease.run_id})
