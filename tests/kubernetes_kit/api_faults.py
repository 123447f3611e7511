"""What goes wrong between the operator and the API server: kills, refusals, delays, stale lists, lost events."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import threading
from collections.abc import Callable
from typing import Any

import orjson
from kubernetes_kit.api_calls import Call
from kubernetes_kit.api_proxy import CutError, Fault, Reply

Where = Callable[[Call], bool]

REASONS = {409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}


def writes(call: Call) -> bool:
    """Every write but leases and events."""
    return call.counts


def everything(_call: Call) -> bool:
    return True


def watches(call: Call) -> bool:
    return call.watches


def refusal(status: int, message: str = "refused by the test", headers: dict[str, str] | None = None) -> Reply:
    """An answer as the API server words it (Kubernetes docs: API conventions, response status kind)."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": REASONS.get(status, "Unknown"),
        "code": status,
    }
    return Reply(status, orjson.dumps(body), {"Content-Type": "application/json", **(headers or {})})


class Kill(Fault):
    """SIGKILL for the client at its Nth write, before the server sees it or once the server has answered."""

    def __init__(self, pid: int, number: int, *, answered: bool = False, where: Where = writes) -> None:
        self._pid, self._number, self._answered, self._where = pid, number, answered, where
        self._seen: list[Call] = []
        self.killed = threading.Event()
        self.at: Call | None = None

    async def before(self, call: Call) -> Reply | None:
        if self.killed.is_set():
            raise CutError
        if not self._where(call):
            return None
        self._seen.append(call)
        if len(self._seen) == self._number and not self._answered:
            self._kill(call)
        return None

    async def after(self, call: Call, reply: Reply) -> Reply:
        if self._answered and self._where(call) and self._seen[self._number - 1 : self._number] == [call]:
            self._kill(call)
        return reply

    def _kill(self, call: Call) -> None:
        os.kill(self._pid, signal.SIGKILL)
        self.at = call
        self.killed.set()
        raise CutError


class Refuse(Fault):
    """A storm of refusals: with the given share of requests, or all of them."""

    def __init__(
        self, status: int, where: Where = writes, *, every: int = 1, retry_after: int | None = None, limit: int = 10**9
    ) -> None:
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._reply, self._where, self._every, self._limit = refusal(status, headers=headers), where, every, limit
        self.seen = 0
        self.refused = 0

    async def before(self, call: Call) -> Reply | None:
        if not self._where(call):
            return None
        self.seen += 1
        if self.seen % self._every or self.refused >= self._limit:
            return None
        self.refused += 1
        return self._reply


class Slow(Fault):
    """Every matching request waits first."""

    def __init__(self, seconds: float, where: Where = everything) -> None:
        self._seconds, self._where = seconds, where

    async def before(self, call: Call) -> Reply | None:
        if self._where(call):
            await asyncio.sleep(self._seconds)
        return None


class Hang(Fault):
    """Matching requests are taken and never answered; `count` is how many."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self.count = 0

    async def before(self, call: Call) -> Reply | None:
        if self._where(call):
            self.count += 1
            await asyncio.Event().wait()
        return None


class Cut(Fault):
    """The connection breaks: before the server sees the request, or after it answered."""

    def __init__(self, where: Where = writes, *, answered: bool = False, limit: int = 10**9) -> None:
        self._where, self._answered, self._limit = where, answered, limit
        self.count = 0

    async def before(self, call: Call) -> Reply | None:
        if not self._answered and self._where(call):
            self._cut()
        return None

    async def after(self, call: Call, reply: Reply) -> Reply:
        if self._answered and self._where(call):
            self._cut()
        return reply

    def _cut(self) -> None:
        if self.count < self._limit:
            self.count += 1
            raise CutError


class Silence(Fault):
    """Watches stay open and tell nothing more, bookmarks included: a connection that died without a word."""

    def __init__(self, where: Where = watches) -> None:
        self._where = where
        self.swallowed = 0

    async def events(self, call: Call, event: dict[str, Any]) -> list[dict[str, Any]]:
        if not self._where(call):
            return [event]
        self.swallowed += 1
        return []


class Gone(Fault):
    """The next watches are told that their place in history is forgotten, by status or by an event."""

    def __init__(self, *, by_event: bool = False, limit: int = 1, where: Where = watches) -> None:
        self._where, self._by_event, self._limit = where, by_event, limit
        self.told = 0

    async def before(self, call: Call) -> Reply | None:
        if self._where(call) and self.told < self._limit:
            self.told += 1
            if not self._by_event:
                return refusal(410, "too old resource version")
            error = {"type": "ERROR", "object": orjson.loads(refusal(410, "too old resource version").body)}
            return Reply(200, orjson.dumps(error) + b"\n", {"Content-Type": "application/json"})
        return None


class EndAtOnce(Fault):
    """Watches are accepted and end in order before they have told anything."""

    def __init__(self, where: Where = watches) -> None:
        self._where = where
        self.ended = 0

    async def before(self, call: Call) -> Reply | None:
        if not self._where(call):
            return None
        self.ended += 1
        return Reply(200, b"", {"Content-Type": "application/json"})


class Stale(Fault):
    """The past: lists are answered as of a resourceVersion, and watches tell nothing until `thaw` is set.

    It is the server itself that answers the old list (resourceVersionMatch=Exact), as an API server with a cache that
    lags behind would; reads of single objects and writes are as of now.
    """

    def __init__(self, version: str, where: Where = everything) -> None:
        self._version, self._where = version, where
        self.lists = 0
        self.thaw = threading.Event()

    async def before(self, call: Call) -> Reply | None:
        if not self._where(call) or self.thaw.is_set():
            return None
        if call.verb == "list" and "continue" not in call.query:
            self.lists += 1
            call.query |= {"resourceVersion": self._version, "resourceVersionMatch": "Exact"}
        while call.watches and not self.thaw.is_set():  # noqa: ASYNC110 - the flag is set by another thread
            await asyncio.sleep(0.02)
        return None


class Shuffle(Fault):
    """Events come late, so that kinds overtake each other; twice; and with the object's event before once more."""

    def __init__(self, seed: int = 0) -> None:
        self._chance = random.Random(seed)
        self._last: dict[tuple[int, str], dict[str, Any]] = {}
        self.repeated = 0

    async def events(self, call: Call, event: dict[str, Any]) -> list[dict[str, Any]]:
        if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
            return [event]
        await asyncio.sleep(self._chance.random() * 0.1)
        before = self._last.get((id(call), uid(event)))
        self._last[id(call), uid(event)] = event
        if before is None or event["type"] == "DELETED":
            return [event, event]
        self.repeated += 1
        return [event, before, event]


class Hide(Fault):
    """Matching events never reach the client."""

    def __init__(self, where: Callable[[Call, dict[str, Any]], bool]) -> None:
        self._where = where
        self.hidden = 0

    async def events(self, call: Call, event: dict[str, Any]) -> list[dict[str, Any]]:
        if not self._where(call, event):
            return [event]
        self.hidden += 1
        return []


def uid(event: dict[str, Any]) -> str:
    with contextlib.suppress(KeyError, TypeError):
        return str(event["object"]["metadata"]["uid"])
    return ""
