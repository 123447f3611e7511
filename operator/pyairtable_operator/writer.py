"""Writes to Workspaces: status and finalizer, each for the very object that was judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyairtable_operator.constants import API_VERSION, FINALIZER
from pyairtable_operator.kube import Kube
from pyairtable_operator.spec import Meta
from pyairtable_operator.store import Store


class WorkspaceWriter:
    """Writes, and puts the answer into the store."""

    def __init__(self, kube: Kube, store: Store) -> None:
        """Keeps no state of its own."""
        self._kube = kube
        self._store = store

    async def status(self, meta: Meta, status: Mapping[str, Any]) -> None:
        """Makes the status exactly so."""
        body = {
            "apiVersion": API_VERSION,
            "kind": "Workspace",
            "metadata": {"name": meta.name, "uid": meta.uid},
            "status": status,
        }
        self._store.changed("Workspace", await self._kube.apply(body, force=True, subresource="status"))

    async def hold(self, meta: Meta) -> None:
        """Puts our finalizer on."""
        answer = await self._finalizers(meta, [*meta.finalizers, FINALIZER])
        self._store.changed("Workspace", answer)

    async def let_go(self, meta: Meta) -> None:
        """Takes our finalizer off; the object is gone unless somebody else holds it too."""
        others = [name for name in meta.finalizers if name != FINALIZER]
        answer = await self._finalizers(meta, others)
        if others:
            self._store.changed("Workspace", answer)
        else:
            self._store.gone("Workspace", "", meta.name)

    async def _finalizers(self, meta: Meta, names: list[str]) -> dict[str, Any]:
        version = str(self._store.version("Workspace", "", meta.name))
        patch = {"metadata": {"uid": meta.uid, "resourceVersion": version, "finalizers": names}}
        return await self._kube.merge("Workspace", "", meta.name, patch)
