"""A second, light look at Workspaces and BaseBindings: metadata only, by our own watch.

It notices what kopf's stream does not tell: an object that is gone, or one that has moved on although kopf has been
silent about it for a while; that one is read once. Its age is what liveness goes by.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from pyairtable_operator.kube import Kube
from pyairtable_operator.kube_errors import KubeError, NotFoundError
from pyairtable_operator.store import Store

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds that kopf has to tell the same."""


class Census:
    """A sink that compares, and reads what the store lacks."""

    def __init__(self, store: Store, kube: Kube) -> None:
        """Checks run on the event loop of the watch."""
        self._store = store
        self._kube = kube
        self._pending: dict[tuple[str, str, str], int] = {}
        self._checks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    def changed(self, kind: str, body: Mapping[str, Any]) -> None:
        """See Sink."""
        metadata = body["metadata"]
        key = (kind, metadata.get("namespace") or "", metadata["name"])
        version = int(metadata["resourceVersion"])
        if self._store.version(*key) >= version:
            return
        self._expect(key, version)

    def gone(self, kind: str, namespace: str, name: str, version: str = "") -> None:
        """See Sink."""
        self._pending.pop((kind, namespace, name), None)
        self._store.gone(kind, namespace, name, version)

    def names(self, kind: str) -> set[tuple[str, str]]:
        """See Sink."""
        return self._store.names(kind)

    def caught_up(self) -> bool:
        """Whether the store knows all that was counted, and as new."""
        known = all(self._store.version(*key) >= version for key, version in self._pending.items())
        return known and not self._checks

    def _expect(self, key: tuple[str, str, str], version: int) -> None:
        waiting = key in self._pending
        self._pending[key] = max(version, self._pending.get(key, 0))
        if not waiting:
            asyncio.get_running_loop().call_later(PATIENCE, self._look, key)

    def _look(self, key: tuple[str, str, str]) -> None:
        version = self._pending.pop(key, 0)
        if self._store.version(*key) < version:
            task = asyncio.create_task(self._read(key, version))
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    async def _read(self, key: tuple[str, str, str], version: int) -> None:
        """Reads what is still unknown when its turn comes: at the start kopf may need a while for thousands."""
        async with self._one_at_a_time:
            if self._store.version(*key) >= version:
                return
            kind, namespace, name = key
            log.info("nothing was heard of a change of %s %s: reading it", kind, f"{namespace}/{name}".lstrip("/"))
            try:
                self._store.changed(kind, await self._kube.get(kind, namespace, name))
            except NotFoundError:
                self._store.gone(kind, namespace, name)
            except KubeError as error:
                log.warning("%s %s could not be read: %s", kind, name, error)
                self._expect(key, version)  # nobody would tell of it again
