"""kopf as the source of Workspaces and BaseBindings: every event goes into the store, nothing is ever written by it.

Only `on.event` handlers are registered, so kopf needs no finalizer, no annotation and no status of its own. What it
lacks is added by the census (census.py): it tells nobody of an object that vanished while it was not watching, and
nobody how old its watch is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from pyairtable_operator.connection import Connection
from pyairtable_operator.constants import GROUP, VERSION
from pyairtable_operator.store import Store

RESOURCES = {"workspaces": "Workspace", "basebindings": "BaseBinding"}


def registry(login_again: Callable[[], Awaitable[Connection]], store: Store) -> kopf.OperatorRegistry:
    """The handlers: log in, and put what happens into the store. kopf has sessions of its own, since it closes them."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.AiohttpSession:
        connection = await login_again()
        return kopf.AiohttpSession(server=connection.server, aiohttp_session=connection.session)

    for plural, kind in RESOURCES.items():
        kopf.on.event(GROUP, VERSION, plural, registry=handlers, id=f"feed-{plural}")(_handler(kind, store))
    return handlers


def settings() -> kopf.OperatorSettings:
    """kopf's own settings: silent, bounded, and with short waits at the end."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.persistence.diffbase_storage = _NoDiffs()
    chosen.networking.request_timeout = 30
    chosen.networking.connect_timeout = 10
    chosen.watching.inactivity_timeout = 70
    chosen.watching.client_timeout = 600
    chosen.watching.chunk_size = 500
    # A worker of kopf keeps its place while it idles; ours have nothing to wait for.
    chosen.queueing.worker_limit = 200
    chosen.queueing.idle_timeout = 0.05
    chosen.queueing.exit_timeout = 0.5
    chosen.process.ultimate_exiting_timeout = 20
    return chosen


class _NoDiffs(kopf.DiffBaseStorage):
    """kopf compares every object with an earlier one for handlers that we do not have; spare it the copies."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Nothing to compare."""
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Nothing was kept."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is kept."""


def _handler(kind: str, store: Store) -> Any:
    async def handle(event: Any, **_: Any) -> None:
        body = event["object"]
        if event["type"] == "DELETED":
            metadata = body["metadata"]
            store.gone(kind, metadata.get("namespace") or "", metadata["name"], metadata["resourceVersion"])
        else:
            store.changed(kind, body)

    return handle
