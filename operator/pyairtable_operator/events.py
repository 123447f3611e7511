"""Events about Workspaces (events.k8s.io/v1): stable reasons, no secret, the same one not twice in a while."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any, Literal

from pyairtable_operator.constants import API_VERSION
from pyairtable_operator.fence import NotLeaderError
from pyairtable_operator.kube import Kube
from pyairtable_operator.kube_errors import KubeError

log = logging.getLogger(__name__)

QUIET_SECONDS = 600.0
"""The same event about the same workspace is told again only after this."""

NAMESPACE = "default"
"""Where Events about cluster-scoped objects lie (Kubernetes: events about objects without a namespace)."""

_LONGEST_NOTE = 1000
_KEPT = 5000


class Events:
    """Sends events in the background: what they tell has happened already, so nobody waits for them."""

    def __init__(self, kube: Kube, instance: str) -> None:
        """`instance` names this replica."""
        self._kube = kube
        self._instance = instance
        self._told: dict[tuple[str, str, str], float] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def tell(
        self,
        regarding: tuple[str, str],
        reason: str,
        note: str,
        kind: Literal["Normal", "Warning"] = "Normal",
        action: str = "Reconcile",
    ) -> None:
        """An event about the Workspace of this name and uid."""
        key = (regarding[1], reason, note)
        now = time.monotonic()
        if now - self._told.get(key, float("-inf")) < QUIET_SECONDS:
            return
        if len(self._told) >= _KEPT:
            self._told.clear()
        self._told[key] = now
        task = asyncio.create_task(self._send(self._event(regarding, reason, note, kind, action)))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, event: dict[str, Any]) -> None:
        try:
            await self._kube.create(event)
        except (KubeError, NotLeaderError) as error:
            log.info("an event could not be sent: %s", error)

    def _event(self, regarding: tuple[str, str], reason: str, note: str, kind: str, action: str) -> dict[str, Any]:
        name, uid = regarding
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{time.time_ns():x}", "namespace": NAMESPACE},
            "eventTime": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "regarding": {"apiVersion": API_VERSION, "kind": "Workspace", "name": name, "uid": uid},
            "reason": reason,
            "action": action,
            "note": note if len(note) <= _LONGEST_NOTE else note[: _LONGEST_NOTE - 3] + "...",
            "type": kind,
            "reportingController": "pyairtable.dev/operator",
            "reportingInstance": self._instance[:128],
        }
