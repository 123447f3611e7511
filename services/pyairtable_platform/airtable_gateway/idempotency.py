"""Idempotency keys, kept by us because Airtable has none: the rules of who runs a write and who reads its answer.

One caller of a key runs the write and holds a lease on it; others with the same key wait for its answer. Before a batch
is sent it is noted, after its answer its outcomes are. When the runner dies, the next caller with the key takes over:
noted outcomes stay, the batch that was on its way is looked up, and the rest is written.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

from pyairtable_platform.common.errors import Conflict, FailedPrecondition, PyAirtableError, Reason, Unavailable

from .rows import Outcome, Row, RowError, RowState

log = logging.getLogger(__name__)

LEASE_SECONDS = 20.0
KEEP_HOURS = 24
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class WriteKey:
    """A caller's key within its tenant (`Workspace.tenant`), and what it was used for."""

    tenant: str
    key: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of an earlier run. Without outcomes it was on its way when that run ended."""

    indexes: tuple[int, ...]
    sent_at: datetime
    outcomes: tuple[Outcome, ...] | None


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to "may I run this write?"."""

    request_hash: str
    """Of the request the key was used with first."""
    is_mine: bool
    is_done: bool


class KeyStore(Protocol):
    """Where keys last. Methods raise Unavailable."""

    async def claim(self, key: WriteKey, owner: str, lease_seconds: float) -> Claim:
        """Take the key if it is new, or if it is unfinished and nobody holds a lease on it."""

    async def renew(self, key: WriteKey, owner: str, lease_seconds: float) -> bool:
        """Hold on to the key; False when somebody else has it."""

    async def note_sending(self, key: WriteKey, owner: str, indexes: Sequence[int], sent_at: datetime) -> int:
        """Note a batch before it is sent and return its number. Raises Conflict when the key is not ours any more."""

    async def note_outcomes(self, key: WriteKey, number: int, outcomes: Sequence[Outcome]) -> None:
        """Note what became of a batch."""

    async def batches(self, key: WriteKey) -> list[Batch]:
        """All batches, in their order."""

    async def finish(self, key: WriteKey, owner: str, rest: Sequence[Outcome]) -> None:
        """The write is done; these are outcomes that no batch holds."""

    async def forget(self, key: WriteKey, owner: str) -> None:
        """The write failed as a whole and did nothing: the key is free again."""


@dataclass(frozen=True, slots=True)
class Journal:
    """The notes of one run."""

    store: KeyStore
    key: WriteKey
    owner: str
    earlier: tuple[Batch, ...]

    async def sending(self, rows: Sequence[Row], sent_at: datetime) -> int:
        return await self.store.note_sending(self.key, self.owner, [row.index for row in rows], sent_at)

    async def ended(self, number: int, outcomes: Sequence[Outcome]) -> None:
        await self.store.note_outcomes(self.key, number, outcomes)


Run = Callable[[Journal], Awaitable[list[Outcome]]]


class KeyedWrites:
    """Runs writes under their keys."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._running: set[asyncio.Task[list[Outcome]]] = set()

    async def once(self, key: WriteKey, run: Run) -> list[Outcome]:
        """The outcomes of the write: ours, or those of whoever ran it first.

        The run goes on when the caller leaves, so that what it does is noted.
        """
        owner = uuid.uuid4().hex
        while True:
            claim = await self._store.claim(key, owner, LEASE_SECONDS)
            if claim.request_hash != key.request_hash:
                raise FailedPrecondition(
                    f'the idempotency key "{key.key}" was used with another request: choose a new one',
                    reason=Reason.IDEMPOTENCY_KEY_REUSED,
                )
            if claim.is_done:
                return answer_of(await self._store.batches(key))
            if claim.is_mine:
                break
            await asyncio.sleep(_POLL_SECONDS)
        task = asyncio.create_task(self._run(key, owner, run))
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def drain(self, seconds: float) -> None:
        """Wait for writes whose callers have left."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    def _ended(self, task: asyncio.Task[list[Outcome]]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # the caller raised it, or has left and does not want it

    async def _run(self, key: WriteKey, owner: str, run: Run) -> list[Outcome]:
        renewing = asyncio.create_task(self._keep_lease(key, owner))
        try:
            journal = Journal(self._store, key, owner, tuple(await self._store.batches(key)))
            try:
                outcomes = await run(journal)
            except PyAirtableError:
                await self._free(key, owner)
                raise
            await self._finish(key, owner, outcomes)
            return outcomes
        finally:
            renewing.cancel()

    async def _free(self, key: WriteKey, owner: str) -> None:
        """Nothing was written, so that a repeat with this key may try again."""
        try:
            if all(batch.outcomes == () for batch in await self._store.batches(key)):
                await self._store.forget(key, owner)
        except Unavailable:
            log.warning("an idempotency key could not be freed: it is when its lease ends")

    async def _finish(self, key: WriteKey, owner: str, outcomes: Sequence[Outcome]) -> None:
        """Store the answer. If that fails the caller gets it all the same; a repeat finds the noted batches."""
        try:
            noted = {outcome.index: outcome for outcome in answer_of(await self._store.batches(key))}
            rest = [outcome for outcome in outcomes if noted.get(outcome.index) != outcome]
            await self._store.finish(key, owner, rest)
        except Unavailable:
            log.warning("the end of a write could not be noted")

    async def _keep_lease(self, key: WriteKey, owner: str) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 4)
            with suppress(Unavailable):
                await self._store.renew(key, owner, LEASE_SECONDS)


def request_hash(method: str, *parts: Any) -> str:
    """The same for the same request, whatever the order of its cells."""
    packed = orjson.dumps([method, *parts], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(packed).hexdigest()


def answer_of(batches: Sequence[Batch]) -> list[Outcome]:
    """The outcomes of a finished write in the order of its rows; later notes of a row win."""
    latest = {outcome.index: outcome for batch in batches for outcome in batch.outcomes or ()}
    return [latest[index] for index in sorted(latest)]


def to_json(outcomes: Sequence[Outcome]) -> bytes:
    """Outcomes as they are stored."""
    return orjson.dumps(list(outcomes))


def from_json(stored: Sequence[dict[str, Any]]) -> tuple[Outcome, ...]:
    """Outcomes from the store."""
    return tuple(
        Outcome(
            item["index"],
            RowState(item["state"]),
            item["record_id"],
            item["record"],
            RowError(**item["error"]) if item["error"] else None,
        )
        for item in stored
    )


def lost_lease(key: WriteKey) -> Conflict:
    return Conflict(
        f'another call has taken over the write with the idempotency key "{key.key}": ask again with the same key',
        reason=Reason.CONFLICT,
    )
