"""Every RESYNC_SECONDS: look at each workspace again, and take out of the registry what has no Workspace any more.

The first costs no API call, since a pass compares in memory. The second covers a Workspace whose finalizer somebody
took off while no operator ran.
"""

from __future__ import annotations

import asyncio
import logging

from pyairtable_operator.kube import Kube
from pyairtable_operator.kube_errors import KubeError
from pyairtable_operator.platform import Platform, PlatformError
from pyairtable_operator.queue import WorkQueue
from pyairtable_operator.settings import Settings
from pyairtable_operator.store import Store

log = logging.getLogger(__name__)


class Sweep:
    """The slow loop of the leader."""

    def __init__(self, settings: Settings, kube: Kube, store: Store, platform: Platform, queue: WorkQueue) -> None:
        """Nothing happens before `run`."""
        self._settings = settings
        self._kube = kube
        self._store = store
        self._platform = platform
        self._queue = queue

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            await self.look_at_all()
            try:
                await self.clean()
            except (PlatformError, KubeError) as error:
                log.warning("the registry could not be compared with the Workspaces: %s", error)

    async def look_at_all(self) -> None:
        """Asks for a pass over each workspace, spread over RESYNC_SECONDS: a new one must not wait behind them all."""
        names = self._store.workspaces()
        for name in names:
            await asyncio.sleep(self._settings.resync_seconds / len(names))
            self._queue.add(name)
        if not names:
            await asyncio.sleep(self._settings.resync_seconds)

    async def clean(self) -> None:
        """Removes entries that a Workspace declared which is gone; each is looked up once more before."""
        known = set(self._store.workspaces())
        for entry in await self._platform.registered():
            if entry.source_kind != "Workspace" or entry.name in known:
                continue
            if await self._kube.is_gone("Workspace", "", entry.name):
                log.warning("the registry holds %s, whose Workspace is gone: removing it", entry.name)
                await self._platform.apply_keys(entry.name, entry.uid, ())
                await self._platform.remove_workspace(entry.name, entry.uid)
