"""A thin client of the Kubernetes API: a request each, classified errors, repeats only where they are safe.

Every write passes the fence first. Nothing here knows what a workspace is.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any, Literal

import aiohttp
import orjson

from pyairtable_operator.connection import Connection
from pyairtable_operator.constants import FIELD_MANAGER
from pyairtable_operator.fence import Fence, NotLeaderError
from pyairtable_operator.kinds import KINDS, Kind
from pyairtable_operator.kube_errors import KubeError, NotFoundError, TemporaryKubeError, error_of
from pyairtable_operator.metrics import Metrics

Body = dict[str, Any]

ATTEMPTS = 4
"""Sends of one request that the server did not answer or asked to repeat; then the queue's back-off takes over."""

AT_ONCE = 32
"""Requests at the same time: more only wait in the server instead of here."""

_CONTENT_TYPES = {
    "apply": "application/apply-patch+yaml",
    "merge": "application/merge-patch+json",
    "json": "application/json",
}


class Kube:
    """The Kubernetes API as the operator uses it. Errors: KubeError and its kinds, NotLeaderError."""

    def __init__(self, connection: Connection, fence: Fence, metrics: Metrics, timeout: float = 30.0) -> None:
        """A client over an open session; `timeout` is for one request, in seconds."""
        self._connection = connection
        self._fence = fence
        self._metrics = metrics
        self._timeout = timeout
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def get(self, kind: str, namespace: str, name: str) -> Body:
        """Reads an object. NotFoundError when it is not there."""
        where = KINDS[kind]
        return await self._repeat("get", where, "GET", where.path(namespace, name))

    async def is_gone(self, kind: str, namespace: str, name: str) -> bool:
        """Asks whether there is no such object: for what must not rest on watches, which may be behind."""
        try:
            await self.get(kind, namespace, name)
        except NotFoundError:
            return True
        return False

    async def create(self, body: Body) -> Body:
        """Creates an object. AlreadyExistsError when there is one of that name."""
        where, namespace, _ = _place(body)
        return await self._write("create", where, "POST", where.path(namespace), body, "json")

    async def apply(self, body: Body, *, force: bool = False, subresource: str = "") -> Body:
        """Server-side apply: creates the object or makes our fields so. ConflictError names who else holds a field.

        With `metadata.resourceVersion` in the body it fails (ConflictError) when the object has changed since;
        with `metadata.uid` when it is another object of the same name.
        """
        where, namespace, name = _place(body)
        query = {"fieldManager": FIELD_MANAGER, "force": "true" if force else "false"}
        path = where.path(namespace, name, subresource)
        return await self._write("apply", where, "PATCH", path, body, "apply", query)

    async def merge(self, kind: str, namespace: str, name: str, patch: Body) -> Body:
        """JSON merge patch; with `metadata.resourceVersion` or `uid` in it only if these still fit."""
        where = KINDS[kind]
        query = {"fieldManager": FIELD_MANAGER}
        return await self._write("patch", where, "PATCH", where.path(namespace, name), patch, "merge", query)

    async def replace(self, kind: str, namespace: str, name: str, body: Body) -> Body:
        """Replaces an object of the resourceVersion that stands in the body. Not fenced: the Lease itself uses it."""
        where = KINDS[kind]
        return await self._send("update", where, "PUT", where.path(namespace, name), body, "json")

    async def create_unfenced(self, body: Body) -> Body:
        """Creates an object without asking the fence; for the Lease only."""
        where, namespace, _ = _place(body)
        return await self._send("create", where, "POST", where.path(namespace), body, "json")

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Deletes the object of this uid; nothing when it is gone or another took its name (ConflictError)."""
        where = KINDS[kind]
        options: Body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        await self._write("delete", where, "DELETE", where.path(namespace, name), options, "json")

    async def _write(
        self,
        verb: str,
        kind: Kind,
        method: str,
        path: str,
        body: Body,
        content: Literal["apply", "merge", "json"],
        query: dict[str, str] | None = None,
    ) -> Body:
        self._fence.check()
        return await self._repeat(verb, kind, method, path, body, content, query, fenced=True)

    async def _repeat(
        self,
        verb: str,
        kind: Kind,
        method: str,
        path: str,
        body: Body | None = None,
        content: Literal["apply", "merge", "json"] = "json",
        query: dict[str, str] | None = None,
        *,
        fenced: bool = False,
    ) -> Body:
        """Sends until it is answered. Safe for all that comes here: reads, apply, patches that only set values,
        deletes of one uid, and creates, whose second answer AlreadyExists the caller has to expect anyway."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._slots:
                    if fenced:
                        self._fence.check()
                    return await self._send(verb, kind, method, path, body, content, query)
            except TemporaryKubeError as error:
                pause = max(error.retry_after, 0.1 * 2.0**attempt * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                if attempt == ATTEMPTS or pause > self._timeout:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _send(
        self,
        verb: str,
        kind: Kind,
        method: str,
        path: str,
        body: Body | None = None,
        content: Literal["apply", "merge", "json"] = "json",
        query: dict[str, str] | None = None,
    ) -> Body:
        status = 0
        try:
            async with self._connection.session.request(
                method,
                self._connection.server + path,
                data=None if body is None else orjson.dumps(body),
                params=query,
                headers={"Content-Type": _CONTENT_TYPES[content], "Accept": "application/json"},
                timeout=aiohttp.ClientTimeout(total=self._timeout),
            ) as response:
                status = response.status
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TemporaryKubeError(
                f"no answer from the Kubernetes API to {verb} {path}: {type(error).__name__}"
            ) from error
        finally:
            self._metrics.api_calls.labels(verb, kind.name, status).inc()
        if status >= 400:
            raise error_of(status, answer, response.headers.get("Retry-After", ""), f"{verb} {path}")
        result: Body = orjson.loads(answer)
        return result


def _place(body: Body) -> tuple[Kind, str, str]:
    metadata = body["metadata"]
    return KINDS[body["kind"]], metadata.get("namespace", ""), metadata["name"]


__all__ = ["ATTEMPTS", "Body", "Kube", "KubeError", "NotLeaderError"]
