"""Durable execution by DBOS. The only place that knows it.

A run of a saga is a DBOS workflow `<saga id>.<run>` in one queue, whose limit is how many sagas a replica carries out
at a time. DBOS itself brings back only what its own executor id left; our executor ids count lives (executors.py), and
the caretaker resumes what lives left that are over. So there is one way of recovery, and it is ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy import make_url

from pyairtable_platform.common.database import role_of

from .model import Json
from .ports import Durable
from .rows import SCHEMA

log = logging.getLogger(__name__)

DBOS_SCHEMA = "sagas_dbos"
QUEUE = "sagas"
POLL_SECONDS = 0.25

APPLICATION_VERSION = "1"
"""DBOS resumes a workflow only under the version that it began with. Pinned, because a rolling upgrade would strand
running sagas else; to be raised only with a change of runner.py after which an earlier run cannot be followed."""

RUNNING = ("PENDING",)
OVER = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")

Run = Callable[[str, Durable], Awaitable[str]]


class DbosDurable:
    """ports.Durable, inside of a workflow."""

    async def step(self, name: str, work: Callable[[], Awaitable[Json]]) -> Json:
        async def run() -> Json:
            return await work()

        return await DBOS.run_step_async({"name": name}, run)

    async def sleep(self, seconds: float) -> None:
        await DBOS.sleep_async(seconds)


@dataclass(frozen=True)
class Running:
    """A workflow in progress and the executor that has it."""

    workflow_id: str
    executor: str


class DbosEngine:
    """Runs sagas. One at a time in a process: DBOS is one, too."""

    def __init__(self, dsn: str, run: Run, *, sagas_at_once: int) -> None:
        self._url = _url(dsn)
        self._run = run
        self._sagas_at_once = sagas_at_once
        self._tasks: set[asyncio.Task[Any]] = set()
        self._workflow: Any = None

    async def launch(self, executor: str) -> None:
        """Begin to carry sagas out on the running event loop. Raises when DBOS's tables are not there or too old."""
        config: DBOSConfig = {
            "name": "pyairtable-sagas",
            "system_database_url": self._url,
            "dbos_system_schema": DBOS_SCHEMA,
            "run_migrations": False,
            "executor_id": executor,
            "application_version": APPLICATION_VERSION,
            "log_level": "WARNING",
            "sys_db_pool_size": 10,
            "max_executor_threads": 16,
        }
        DBOS(config=config)

        async def saga(saga_id: str) -> str:
            return await self._carry_out(saga_id)  # DBOS takes functions, no methods

        self._workflow = DBOS.workflow(name="saga", max_recovery_attempts=None)(saga)
        try:
            DBOS.launch()
            await DBOS.register_queue_async(
                QUEUE, worker_concurrency=self._sagas_at_once, polling_interval_sec=POLL_SECONDS
            )
        except BaseException:
            await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
            raise

    async def close(self) -> None:
        """Stop where we are. What is in progress is taken up by another life."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # In a thread: DBOS's own threads may wait for this loop.
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)

    async def start(self, saga_id: str, run: int) -> None:
        """Put a run into the queue. Repeated, it changes nothing."""
        with SetWorkflowID(workflow_id_of(saga_id, run)):
            await DBOS.enqueue_workflow_async(QUEUE, self._workflow, saga_id)

    async def running(self) -> list[Running]:
        """All workflows in progress, of every replica."""
        found = await DBOS.list_workflows_async(status=list(RUNNING), load_input=False, load_output=False)
        return [Running(item.workflow_id, item.executor_id or "") for item in found]

    async def resume(self, workflow_id: str) -> None:
        """Put a workflow whose executor is dead back into the queue."""
        await DBOS.resume_workflow_async(workflow_id, queue_name=QUEUE)

    async def is_over(self, saga_id: str, run: int) -> bool:
        """Whether a run came to an end, or is not known."""
        status = await DBOS.get_workflow_status_async(workflow_id_of(saga_id, run))
        return status is None or status.status in OVER

    async def forget(self, sagas: list[tuple[str, int]]) -> None:
        """Delete what DBOS keeps of sagas: (id, last run) of each."""
        ids = [workflow_id_of(saga_id, run) for saga_id, last in sagas for run in range(1, last + 1)]
        if ids:
            await DBOS.delete_workflows_async(ids)

    async def _carry_out(self, saga_id: str) -> str:
        task = asyncio.current_task()
        assert task is not None, "workflows run as tasks"
        self._tasks.add(task)
        try:
            return await self._run(saga_id, DbosDurable())
        finally:
            self._tasks.discard(task)


def workflow_id_of(saga_id: str, run: int) -> str:
    return f"{saga_id}.{run}"


def _url(dsn: str) -> str:
    """The database for psycopg, as the role of this service."""
    url = make_url(dsn).set(drivername="postgresql+psycopg")
    return url.update_query_dict({"options": f"-c role={role_of(SCHEMA)}"}).render_as_string(hide_password=False)
