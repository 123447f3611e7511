"""Wires the operator and runs it: one process, one event loop.

Exit status: 0 after SIGTERM or SIGINT, 1 when the Lease is lost or a part failed (the pod is started again), and a
sentence with status 1 for settings that cannot be used.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import sys
from dataclasses import dataclass
from typing import Any

import kopf
from kubernetes.aio.config.config_exception import ConfigException

from pyairtable_operator import feed, logs
from pyairtable_operator.census import Census
from pyairtable_operator.connection import Connection, connect
from pyairtable_operator.constants import FIELD_MANAGER, MANAGED_BY_LABEL, WORKSPACE_LABEL
from pyairtable_operator.credential_secrets import Credentials
from pyairtable_operator.events import Events
from pyairtable_operator.fence import Fence
from pyairtable_operator.kinds import KINDS, MANAGED_KINDS
from pyairtable_operator.kube import Kube
from pyairtable_operator.lease import Lease, LostError
from pyairtable_operator.metrics import Metrics
from pyairtable_operator.platform import GrpcPlatform
from pyairtable_operator.probes import Probes
from pyairtable_operator.queue import WorkQueue
from pyairtable_operator.reconcile import Reconciler
from pyairtable_operator.reporting import Reporter
from pyairtable_operator.settings import Settings, load
from pyairtable_operator.store import Store
from pyairtable_operator.sweep import Sweep
from pyairtable_operator.told import Registrar
from pyairtable_operator.verification import Verifier
from pyairtable_operator.watches import Watch
from pyairtable_operator.workers import work

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Parts:
    """What a running operator consists of."""

    settings: Settings
    metrics: Metrics
    connection: Connection
    kube: Kube
    store: Store
    queue: WorkQueue
    watches: list[Watch]
    census: Census
    lease: Lease
    platform: GrpcPlatform
    reconciler: Reconciler
    sweep: Sweep


def main() -> None:
    """Entry point of `pyairtable-operator`."""
    settings = load()
    logs.configure(settings.log_level)
    try:
        status = asyncio.run(_run(settings))
    except ConfigException as error:
        sys.exit(f"pyairtable-operator: the Kubernetes API cannot be configured: {error}; set KUBECONFIG")
    sys.exit(status)


async def _run(settings: Settings) -> int:
    parts = await _assemble(settings)
    probes = await _probes(parts).start(settings.host, settings.http_port)
    tasks = [asyncio.create_task(watch.run(), name=f"watch {watch.kind.plural}") for watch in parts.watches]
    tasks.append(asyncio.create_task(_lead(parts), name="leader"))
    kopf_is_up = asyncio.Event()
    tasks.append(asyncio.create_task(_kopf(parts, kopf_is_up), name="kopf"))
    try:
        return await _until_the_end(tasks, kopf_is_up)
    finally:
        await _stop([task for task in tasks if task.get_name() != "kopf"])
        await parts.lease.release()
        await probes.cleanup()
        await parts.platform.close()
        await _stop(tasks)
        await parts.connection.session.close()


async def _assemble(settings: Settings) -> _Parts:
    metrics, fence = Metrics(), Fence()
    connection = await connect(settings.kubeconfig)
    kube = Kube(connection, fence, metrics, settings.request_timeout_seconds)
    queue = WorkQueue(metrics)
    store = Store(queue.add)
    census = Census(store, kube)
    credentials = Credentials(settings.credentials_namespace, store.users_of, queue.add)
    platform = GrpcPlatform(settings, fence, metrics)
    identity = f"{settings.pod_name}_{secrets.token_hex(4)}"
    events = Events(kube, identity)
    registrar = Registrar(platform)
    verifier = Verifier(platform, settings.verify_interval_seconds)
    reporter = Reporter(events, metrics)
    reconciler = Reconciler(settings, kube, store, credentials, registrar, verifier, reporter, queue.add)
    return _Parts(
        settings=settings,
        metrics=metrics,
        connection=connection,
        kube=kube,
        store=store,
        queue=queue,
        watches=_watches(settings, connection, metrics, store, credentials, census),
        census=census,
        lease=Lease(kube, fence, metrics, settings.operator_namespace, identity, settings.lease_seconds),
        platform=platform,
        reconciler=reconciler,
        sweep=Sweep(settings, kube, store, platform, queue),
    )


def _watches(
    settings: Settings, connection: Connection, metrics: Metrics, store: Store, credentials: Credentials, census: Census
) -> list[Watch]:
    ours = {"labelSelector": f"{MANAGED_BY_LABEL}={FIELD_MANAGER}"}
    access = {"fieldSelector": "metadata.name=pyairtable-access"}
    opted_in = {"labelSelector": WORKSPACE_LABEL}
    namespace = settings.credentials_namespace
    return [
        *(Watch(KINDS[kind], census, connection, metrics, metadata_only=True) for kind in ("Workspace", "BaseBinding")),
        # All of them: whether a name is free must be known before it is taken.
        Watch(KINDS["Namespace"], store, connection, metrics),
        *(Watch(KINDS[kind], store, connection, metrics, selectors=ours) for kind in MANAGED_KINDS),
        Watch(KINDS["Secret"], store, connection, metrics, selectors=access),
        Watch(KINDS["Secret"], credentials, connection, metrics, namespace=namespace, selectors=opted_in),
    ]


def _probes(parts: _Parts) -> Probes:
    def refresh() -> None:
        for kind, count in parts.store.count().items():
            parts.metrics.objects.labels(kind).set(count)

    return Probes(parts.watches, parts.metrics, parts.settings.watch_silence_seconds, refresh)


async def _lead(parts: _Parts) -> None:
    """Waits for its turn with warm watches, then works until the Lease is lost."""
    for watch in parts.watches:
        await watch.synced.wait()
    # kopf tells of Workspaces and bindings in its own time; a pass before that would make bindings that are there.
    while not parts.census.caught_up():  # noqa: ASYNC110 - two watches race, neither has an event for the other
        await asyncio.sleep(0.02)
    await parts.lease.acquire()
    for name in parts.store.workspaces():
        parts.queue.add(name)
    async with asyncio.TaskGroup() as group:
        group.create_task(parts.lease.keep())
        group.create_task(parts.sweep.run())
        for _ in range(parts.settings.max_concurrent_reconciles):
            group.create_task(work(parts.queue, parts.reconciler, parts.metrics))


async def _kopf(parts: _Parts, is_up: asyncio.Event) -> None:
    await kopf.operator(
        registry=feed.registry(lambda: connect(parts.settings.kubeconfig), parts.store),
        settings=feed.settings(),
        ready_flag=is_up,
        clusterwide=True,
        standalone=True,
    )


async def _until_the_end(tasks: list[asyncio.Task[Any]], kopf_is_up: asyncio.Event) -> int:
    """Waits for a signal or for the first part that ends, which none should."""
    signals = asyncio.create_task(_signal(kopf_is_up), name="signals")
    done, _ = await asyncio.wait([*tasks, signals], return_when=asyncio.FIRST_COMPLETED)
    asked = [task for task in done if task.get_name() in ("signals", "kopf") and task.exception() is None]
    if asked:
        log.info("stopping")
        return 0
    for task in done:
        error = task.exception()
        lost = isinstance(error, BaseExceptionGroup) and error.subgroup(LostError) is not None
        log.error("%s ended: %s", task.get_name(), "the Lease was lost" if lost else error or "without an error")
    return 1


async def _signal(kopf_is_up: asyncio.Event) -> None:
    """Waits for SIGTERM or SIGINT, with our handlers in the place of kopf's: that would end its tasks and ours in no
    order. Until it is up, its own handlers hold, and it ends without an error."""
    await kopf_is_up.wait()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    await asked.wait()


async def _stop(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
