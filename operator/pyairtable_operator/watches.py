"""List, then watch, one kind of object: what the API server tells goes to a sink, and nothing is lost in between.

A list is read in pages at the newest version. A watch goes on from the last version seen, over time-outs and cut
connections; when the server has forgotten that version (410), everything is listed anew and objects that are missing
from the list are told as deleted, so that a deletion nobody heard of is noticed.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
import orjson

from pyairtable_operator.connection import Connection
from pyairtable_operator.kinds import Kind
from pyairtable_operator.kube_errors import KubeError, NotFoundError, TemporaryKubeError, error_of
from pyairtable_operator.metrics import Metrics

log = logging.getLogger(__name__)

PAGE = 500
"""Objects in a page of a list."""

SILENCE = 70.0
"""Seconds after which a silent watch is opened anew: the server sends a bookmark every minute (kube-apiserver)."""

BRIEF = 1.0
"""A watch that the server ends within so many seconds is not opened again at once."""

METADATA_ONLY = "application/json;as={};g=meta.k8s.io;v=v1"
"""Accept header that leaves out all but the metadata (Kubernetes docs: API concepts)."""

Body = dict[str, Any]
Name = tuple[str, str]


class Sink(Protocol):
    """Who wants to know."""

    def changed(self, kind: str, body: Body) -> None:
        """An object that is there, as it is now."""

    def gone(self, kind: str, namespace: str, name: str, version: str = "") -> None:
        """An object that is not there any more, as of this resourceVersion."""

    def names(self, kind: str) -> set[Name]:
        """Namespace and name of every object of this kind that the sink believes to be there by this watch."""


class ExpiredError(Exception):
    """The server does not know the version any more: list again."""


@dataclass(slots=True)
class Watch:
    """One kind, or a part of it by selectors."""

    kind: Kind
    sink: Sink
    connection: Connection
    metrics: Metrics
    namespace: str = ""
    selectors: dict[str, str] = field(default_factory=dict)
    metadata_only: bool = False
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    heard_at: float = field(default_factory=time.monotonic)
    _version: str = ""
    _failures: int = 0

    def age(self) -> float:
        """Seconds since the server was last heard."""
        return time.monotonic() - self.heard_at

    async def run(self) -> None:
        """Lists and watches until cancelled. Never fails: it says what is wrong and tries again."""
        while True:
            try:
                if not self._version:
                    await self._list()
                opened = time.monotonic()
                await self._watch()
                if time.monotonic() - opened < BRIEF:
                    await self._pause(TemporaryKubeError("the server ended it at once"))
            except ExpiredError:
                self._version = ""
                if self._failures:  # once in a while is usual, again and again is not
                    await self._pause(TemporaryKubeError("the server forgot its place once more"))
                self._failures += 1
            except (KubeError, aiohttp.ClientError, TimeoutError, OSError) as error:
                await self._pause(error)

    async def _pause(self, error: Exception) -> None:
        if isinstance(error, TimeoutError | aiohttp.ServerTimeoutError):
            return
        self._failures += 1
        asked = error.retry_after if isinstance(error, KubeError) else 0.0
        delay = max(asked, min(15.0, 0.1 * 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1.0))  # noqa: S311
        text = f"watch of {self.kind.plural}: {str(error) or type(error).__name__}; next try in {delay:.1f} s"
        if isinstance(error, NotFoundError):
            text = f"{self.kind.plural} ({self.kind.api_version}) are not known to the API server: waiting for the CRD"
        log.log(logging.WARNING if self._failures in (3, 30) or self._failures % 100 == 0 else logging.DEBUG, text)
        await asyncio.sleep(delay)

    async def _list(self) -> None:
        missing = self.sink.names(self.kind.name)
        token = ""
        self.metrics.relists.labels(self.kind.name).inc()
        while True:
            query = {"limit": str(PAGE)} | ({"continue": token} if token else {})
            page = await self._get(query)
            for item in page.get("items") or ():
                metadata = item["metadata"]
                missing.discard((metadata.get("namespace", ""), metadata["name"]))
                self._changed(item)
            token = page["metadata"].get("continue") or ""
            if not token:
                break
        for namespace, name in missing:
            self.sink.gone(self.kind.name, namespace, name, page["metadata"]["resourceVersion"])
        self._version = page["metadata"]["resourceVersion"]
        self.synced.set()

    async def _get(self, query: dict[str, str]) -> Body:
        async with self._request(query, aiohttp.ClientTimeout(total=60)) as response:
            self._check("list", response, await response.read())
            answer = await response.read()
        self.heard_at = time.monotonic()
        page: Body = orjson.loads(answer)
        return page

    async def _watch(self) -> None:
        seconds = random.randint(300, 600)  # noqa: S311 - spreads the reconnects
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(seconds),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE)
        async with self._request(query, timeout) as response:
            self._check("watch", response, await response.read() if response.status >= 400 else b"")
            self.heard_at = time.monotonic()
            async for line in _lines(response):
                self.heard_at = time.monotonic()
                self._event(orjson.loads(line))
                self._failures = 0

    def _event(self, event: Body) -> None:
        body = event["object"]
        if event["type"] == "ERROR":
            if body.get("code") == 410:
                raise ExpiredError
            raise TemporaryKubeError(f"the watch ended: {body.get('message')}", status=int(body.get("code") or 0))
        metadata = body["metadata"]
        if event["type"] == "DELETED":
            self.sink.gone(self.kind.name, metadata.get("namespace", ""), metadata["name"], metadata["resourceVersion"])
        elif event["type"] != "BOOKMARK":
            self._changed(body)
        self._version = metadata["resourceVersion"]

    def _changed(self, body: Body) -> None:
        """One object that cannot be understood, whoever wrote it, must not stop the work for all others."""
        try:
            self.sink.changed(self.kind.name, body)
        except Exception:
            metadata = body["metadata"]
            log.exception("%s %s/%s is left out", self.kind.name, metadata.get("namespace", ""), metadata["name"])

    def _request(self, query: dict[str, str], timeout: aiohttp.ClientTimeout) -> Any:
        shape = "PartialObjectMetadata" if "watch" in query else "PartialObjectMetadataList"
        headers = {"Accept": METADATA_ONLY.format(shape)} if self.metadata_only else {}
        url = self.connection.server + self.kind.path(self.namespace)
        return self.connection.session.get(url, params=query | self.selectors, timeout=timeout, headers=headers)

    def _check(self, verb: str, response: aiohttp.ClientResponse, answer: bytes) -> None:
        self.metrics.api_calls.labels(verb, self.kind.name, response.status).inc()
        if response.status == 410:
            raise ExpiredError
        if response.status >= 400:
            retry_after = response.headers.get("Retry-After", "")
            raise error_of(response.status, answer, retry_after, f"{verb} {self.kind.plural}")


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a stream, however long: an object may be larger than aiohttp's bound for a line."""
    rest = bytearray()
    async for chunk in response.content.iter_any():
        rest += chunk
        while (end := rest.find(b"\n")) >= 0:
            line = bytes(rest[:end])
            del rest[: end + 1]
            if line:
                yield line
