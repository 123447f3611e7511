"""The Lease that makes one replica the leader.

`kubernetes.aio.leaderelection` is not used: it keeps its record in an annotation beside the wall clock, tells nobody
until when the lease is safe (so nothing can be fenced), and does not give it back on shutdown.

Others count the lease as free when its record has not changed for `leaseDurationSeconds` of *their* clock, so clocks
need not agree (as client-go does). The fence ends well before that, counted from before the renewal was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pyairtable_operator.fence import Fence
from pyairtable_operator.kube import Kube
from pyairtable_operator.kube_errors import AlreadyExistsError, KubeError, NotFoundError
from pyairtable_operator.metrics import Metrics

log = logging.getLogger(__name__)

NAME = "pyairtable-operator"
"""Of the Lease, in the operator's namespace."""

SAFE_PART = 0.7
"""Part of the lease's duration in which we still write without a renewal."""

Body = dict[str, Any]


class LostError(Exception):
    """The lease is somebody else's, or could not be renewed in time: the process has to end."""


@dataclass(slots=True)
class Lease:
    """Our try to hold the lease."""

    kube: Kube
    fence: Fence
    metrics: Metrics
    namespace: str
    identity: str
    seconds: float
    _seen: str = ""
    _seen_at: float = field(default_factory=lambda: float("-inf"))
    _held: Body | None = None

    async def acquire(self) -> None:
        """Waits until this replica is the leader."""
        log.info("waiting for the Lease %s/%s as %s", self.namespace, NAME, self.identity)
        while not await self._attempt():  # noqa: ASYNC110 - what is waited for happens elsewhere
            await asyncio.sleep(self.seconds / 7.5)
        self.metrics.leader.set(1)
        log.info("leading as %s", self.identity)

    async def keep(self) -> None:
        """Renews until cancelled. LostError when the lease is lost."""
        pause = self.seconds / 3
        while True:
            await asyncio.sleep(pause)
            if await self._attempt():
                pause = self.seconds / 3
                continue
            if self._held is None or self.fence.remaining() <= 0:
                self.fence.close()
                self.metrics.leader.set(0)
                raise LostError("the Lease was lost: another replica leads, or it could not be renewed in time")
            pause = min(self.seconds / 7.5, max(self.fence.remaining(), 0.1))

    async def release(self) -> None:
        """Gives the lease back, so that another replica need not wait; does nothing when it is not ours."""
        self.fence.close()
        self.metrics.leader.set(0)
        if self._held is None:
            return
        body = self._record(self._held, holder="")
        with contextlib.suppress(KubeError, TimeoutError):
            await asyncio.wait_for(self.kube.replace("Lease", self.namespace, NAME, body), timeout=2)
        self._held = None

    async def _attempt(self) -> bool:
        """Takes or renews the lease; True when it is ours now."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.seconds / 3):
                self._held = await self._take_or_renew()
        except (KubeError, TimeoutError) as error:
            log.warning("the Lease could not be renewed or read: %s", str(error) or "no answer in time")
            return False
        if self._held is None:
            return False
        self.fence.extend(started + self.seconds * SAFE_PART)
        return True

    async def _take_or_renew(self) -> Body | None:
        try:
            current = self._held or await self.kube.get("Lease", self.namespace, NAME)
        except NotFoundError:
            try:
                return await self.kube.create_unfenced(self._record(None, holder=self.identity))
            except AlreadyExistsError:
                return None
        spec = current.get("spec") or {}
        if self._held is None and not self._free(spec, current["metadata"]["resourceVersion"]):
            return None
        try:
            return await self.kube.replace("Lease", self.namespace, NAME, self._record(current, holder=self.identity))
        except KubeError as error:
            if error.status not in (404, 409):
                raise
            return await self._look_again()

    async def _look_again(self) -> Body | None:
        """After a refused renewal: still ours when our own earlier request was the one that changed it."""
        if self._held is None:
            return None
        self._held = None
        current = await self.kube.get("Lease", self.namespace, NAME)
        spec = current.get("spec") or {}
        return current if spec.get("holderIdentity") == self.identity and self.fence.remaining() > 0 else None

    def _free(self, spec: Body, version: str) -> bool:
        """Whether nobody holds it: given back, or unchanged for its whole duration. Our own name of an earlier life
        counts as somebody else: two processes with one identity must not both lead."""
        if not spec.get("holderIdentity"):
            return True
        if version != self._seen:
            self._seen, self._seen_at = version, time.monotonic()
        return time.monotonic() - self._seen_at > float(spec.get("leaseDurationSeconds") or self.seconds)

    def _record(self, current: Body | None, holder: str) -> Body:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        old = (current or {}).get("spec") or {}
        metadata = {"name": NAME, "namespace": self.namespace}
        if current is not None:
            metadata["resourceVersion"] = current["metadata"]["resourceVersion"]
        taken = old.get("holderIdentity") != holder
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": max(1, round(self.seconds)),
                "acquireTime": now if taken or not old.get("acquireTime") else old["acquireTime"],
                "renewTime": now,
                "leaseTransitions": int(old.get("leaseTransitions") or 0) + (1 if taken and holder else 0),
            },
        }
