"""Keeps sagas going when replicas do not: declares the dead dead, and takes up what they left."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.database import EVERY_WORKSPACE, transaction
from pyairtable_platform.common.errors import PyAirtableError, Unavailable

from .engine import DbosEngine
from .executors import Lease, LeaseLost, bury_the_dead, living
from .store import SagaStore

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
WAITING_SECONDS = 2.0
"""A start puts the saga into the engine's queue right after its transaction; one that did not by then has died."""
STRANDED_SECONDS = 30.0
FORGET_EVERY_SECONDS = 3600.0

TAKEN_UP = Counter("pyairtable_sagas_taken_up_total", "Runs of sagas taken up from replicas that are dead")

# One at a time; whoever is frozen in its turn loses its connection, and with it the turn.
_TURN = sa.text(
    "SELECT pg_try_advisory_xact_lock(1935763315) AS is_mine, "
    "set_config('idle_in_transaction_session_timeout', '4s', true)"
)
_STRANDED = sa.text(
    "SELECT saga_id, run FROM sagas WHERE is_queued AND state IN ('PENDING', 'RUNNING', 'COMPENSATING') "
    "AND updated_at < clock_timestamp() - make_interval(secs => :age) LIMIT 100"
)
_RUN_AGAIN = sa.text(
    "UPDATE sagas SET run = run + 1, is_queued = false WHERE saga_id = :saga_id AND run = :run AND ended_at IS NULL"
)


class Caretaker:
    """Runs the engine of this process, and looks after what others left. `die` ends the process: the lease is lost."""

    def __init__(
        self,
        engine: AsyncEngine,
        store: SagaStore,
        dbos: DbosEngine,
        lease: Lease,
        *,
        look_seconds: float,
        keep_days: int,
        die: Callable[[], NoReturn],
    ) -> None:
        self._engine = engine
        self._store = store
        self._dbos = dbos
        self._lease = lease
        self._look_seconds = look_seconds
        self._keep_days = keep_days
        self._die = die
        self._is_up = False
        self._forgot_at = time.monotonic()

    async def check(self) -> None:
        """For readiness: raises until sagas can be carried out."""
        if not self._is_up:
            raise Unavailable("the engine of sagas has not started: is PostgreSQL there, and migrated?")

    async def start_run(self, saga_id: str, run: int) -> None:
        """Put a run into the queue; when that fails, the next look does it."""
        await self._dbos.start(saga_id, run)
        await self._store.queued(saga_id, run)

    async def run(self) -> None:
        """Begin a life, and keep it."""
        while not self._is_up:
            try:
                await self._lease.take()
                await self._dbos.launch(self._lease.executor)
                self._is_up = True
            except Exception as error:  # whatever DBOS raises for tables that are not there
                log.warning("sagas cannot be carried out yet", extra={"error": str(error)[:300]})
                await asyncio.sleep(RETRY_SECONDS)
        looking = asyncio.create_task(self._look_after())
        try:
            await self._lease.keep()
        except LeaseLost as error:
            log.critical("this process ends", extra={"cause": str(error)})
            # At once: nothing that it does counts any more, and threads of DBOS that wait for what another has now
            # would keep it from ending.
            self._die()
        finally:
            looking.cancel()

    async def close(self) -> None:
        """Stop carrying sagas out, and let others inherit at once."""
        if not self._is_up:
            return
        self._is_up = False
        await self._dbos.close()
        try:
            await self._lease.leave()
        except PyAirtableError as error:
            log.warning("others inherit only when the lease ends", extra={"error": error.message})

    async def _look_after(self) -> None:
        looks: tuple[Callable[[], Awaitable[None]], ...] = (self._start_waiting, self._inherit, self._forget)
        while True:
            for look in looks:
                try:
                    await look()
                except Exception:
                    # A look that fails, for whatever reason, must not end those that follow.
                    log.exception("looking after sagas failed: trying again")
            await asyncio.sleep(self._look_seconds)

    async def _start_waiting(self) -> None:
        for saga_id, run in await self._store.waiting(WAITING_SECONDS):
            log.info("a saga that nobody put into the queue is put there", extra={"saga": saga_id})
            await self.start_run(saga_id, run)

    async def _inherit(self) -> None:
        """Take up what executors have that are dead, and what the engine has no trace of."""
        dead = await bury_the_dead(self._engine) if self._lease.may_judge() else []
        if dead:
            log.warning("replicas are declared dead: their leases ended", extra={"executors": dead})
        # It looks at every saga.
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            if not (await connection.execute(_TURN)).one().is_mine:
                return
            # In this order: an executor that is not among the living, and has a workflow all the same, is dead.
            for orphan in await self._dbos.running():
                # Asked anew each time: whoever was frozen in this loop is dead itself, and judges nobody.
                alive = await living(self._engine)
                if orphan.executor not in alive and self._lease.executor in alive:
                    await self._dbos.resume(orphan.workflow_id)
                    TAKEN_UP.inc()
                    log.info("a saga is taken up", extra={"run": orphan.workflow_id, "left_by": orphan.executor})
            for row in (await connection.execute(_STRANDED, {"age": STRANDED_SECONDS})).all():
                if await self._dbos.is_over(row.saga_id, row.run):
                    log.error("a saga whose run ended before it is run again", extra={"saga": row.saga_id})
                    await connection.execute(_RUN_AGAIN, {"saga_id": row.saga_id, "run": row.run})

    async def _forget(self) -> None:
        if not self._keep_days or time.monotonic() < self._forgot_at + FORGET_EVERY_SECONDS:
            return
        self._forgot_at = time.monotonic()
        await self._dbos.forget(await self._store.forget_ended(self._keep_days))
