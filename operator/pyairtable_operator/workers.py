"""Workers: take a workspace from the queue, run a pass, and decide when the next one is due."""

from __future__ import annotations

import asyncio
import logging
import time

from pyairtable_operator.fence import NotLeaderError
from pyairtable_operator.kube_errors import KubeError
from pyairtable_operator.metrics import Metrics
from pyairtable_operator.queue import WorkQueue
from pyairtable_operator.reconcile import Reconciler

log = logging.getLogger(__name__)


async def work(queue: WorkQueue, reconciler: Reconciler, metrics: Metrics) -> None:
    """Runs until cancelled."""
    while True:
        name = await queue.get()
        started = time.monotonic()
        try:
            await _pass(name, queue, reconciler, metrics)
        finally:
            metrics.reconcile_seconds.observe(time.monotonic() - started)
            queue.done(name)


async def _pass(name: str, queue: WorkQueue, reconciler: Reconciler, metrics: Metrics) -> None:
    try:
        outcome = await reconciler.reconcile(name)
    except NotLeaderError:
        # The Lease is about to be renewed, or this process is about to end.
        metrics.reconciles.labels("fenced").inc()
        await asyncio.sleep(0.5)
        queue.add_after(name, 0.5)
    except KubeError as error:
        metrics.reconciles.labels("error").inc()
        metrics.errors.labels(error.reason or type(error).__name__).inc()
        delay = queue.retry(name, error.retry_after)
        log.warning("workspace %s: %s; next try in %.1f s", name, error, delay)
    except Exception:
        metrics.reconciles.labels("error").inc()
        metrics.errors.labels("Internal").inc()
        delay = queue.retry(name)
        log.exception("workspace %s: a fault of ours; next try in %.1f s", name, delay)
    else:
        _after(name, outcome.gone, outcome.failed, outcome.next_in, queue, metrics)


def _after(name: str, gone: bool, failed: str, next_in: float | None, queue: WorkQueue, metrics: Metrics) -> None:
    metrics.reconciles.labels("error" if failed else "ok").inc()
    if gone:
        queue.forget(name)
        return
    if failed:
        metrics.errors.labels(failed).inc()
        queue.retry(name, next_in or 0.0)
        return
    queue.succeeded(name)
    if next_in is not None:
        queue.add_after(name, next_in)
