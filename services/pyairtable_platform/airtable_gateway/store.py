"""PostgreSQL: counted calls, and the keys and batches of idempotent writes (schema airtable_gateway).

The columns `workspace` hold tenants (`Workspace.tenant`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pyairtable_platform.common.database import EVERY_WORKSPACE, transaction
from pyairtable_platform.common.errors import Unavailable

from .idempotency import KEEP_HOURS, Batch, Claim, WriteKey, from_json, lost_lease, to_json
from .rows import Outcome
from .usage import Counted

_SWEEP_SECONDS = 600.0

_ADD_USAGE = text(
    "INSERT INTO usage (workspace, month, base_id, calls) VALUES (:workspace, :month, :base_id, :calls) "
    "ON CONFLICT (workspace, month, base_id) DO UPDATE SET calls = usage.calls + excluded.calls"
)
_USAGE = text("SELECT base_id, calls FROM usage WHERE workspace = :workspace AND month = :month")
# An expired key counts as new; one whose runner is gone (no lease) goes to whoever asks with the same request.
_CLAIM = text(
    "INSERT INTO write_keys AS known (workspace, key, request_hash, owner, lease_until, expires_at) "
    "VALUES (:workspace, :key, :request_hash, :owner, now() + :lease, now() + :keep) "
    "ON CONFLICT (workspace, key) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until "
    "WHERE NOT known.is_done AND known.lease_until < now() AND known.request_hash = excluded.request_hash "
    "RETURNING request_hash"
)
_EXPIRE_KEY = text(
    "DELETE FROM write_keys WHERE workspace = :workspace AND key = :key AND expires_at < now() AND lease_until < now()"
)
_READ_KEY = text("SELECT request_hash, is_done FROM write_keys WHERE workspace = :workspace AND key = :key")
_RENEW = text(
    "UPDATE write_keys SET lease_until = now() + :lease "
    "WHERE workspace = :workspace AND key = :key AND owner = :owner RETURNING 1"
)
_SENDING = text(
    "INSERT INTO write_batches (workspace, key, indexes, sent_at) "
    "SELECT workspace, key, :indexes, :sent_at FROM write_keys "
    "WHERE workspace = :workspace AND key = :key AND owner = :owner RETURNING number"
)
_ENDED = text("UPDATE write_batches SET outcomes = :outcomes WHERE number = :number")
_BATCHES = text(
    "SELECT indexes, sent_at, outcomes FROM write_batches WHERE workspace = :workspace AND key = :key ORDER BY number"
)
_REST = text(
    "INSERT INTO write_batches (workspace, key, indexes, sent_at, outcomes) "
    "VALUES (:workspace, :key, :indexes, now(), :outcomes)"
)
_FINISH = text(
    "UPDATE write_keys SET is_done = true WHERE workspace = :workspace AND key = :key AND owner = :owner RETURNING 1"
)
_FORGET = text("DELETE FROM write_keys WHERE workspace = :workspace AND key = :key AND owner = :owner")
_SWEEP = text("DELETE FROM write_keys WHERE expires_at < now() AND lease_until < now()")


class GatewayStore:
    """Both stores of the gateway: UsageStore and KeyStore. Raises Unavailable when PostgreSQL is away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    # Usage

    async def add_usage(self, counts: Mapping[Counted, int]) -> None:
        rows = [
            {"workspace": tenant, "month": month, "base_id": base_id, "calls": calls}
            # Sorted, because two replicas that lock the same rows in different order would block each other.
            for (tenant, month, base_id), calls in sorted(counts.items())
        ]
        # What all workspaces used since the last time goes in one write.
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            await connection.execute(_ADD_USAGE, rows)

    async def usage(self, tenant: str, month: str) -> dict[str, int]:
        async with transaction(self._engine, tenant) as connection:
            rows = await connection.execute(_USAGE, {"workspace": tenant, "month": month})
            return {row.base_id: row.calls for row in rows}

    # Keys of writes

    async def claim(self, key: WriteKey, owner: str, lease_seconds: float) -> Claim:
        values = {
            **_named(key),
            "request_hash": key.request_hash,
            "owner": owner,
            "lease": timedelta(seconds=lease_seconds),
            "keep": timedelta(hours=KEEP_HOURS),
        }
        async with transaction(self._engine, key.tenant) as connection:
            await connection.execute(_EXPIRE_KEY, _named(key))
            if (await connection.execute(_CLAIM, values)).first() is not None:
                return Claim(key.request_hash, is_mine=True, is_done=False)
            known = (await connection.execute(_READ_KEY, _named(key))).one()
            return Claim(known.request_hash, is_mine=False, is_done=known.is_done)

    async def renew(self, key: WriteKey, owner: str, lease_seconds: float) -> bool:
        values = {**_named(key), "owner": owner, "lease": timedelta(seconds=lease_seconds)}
        async with transaction(self._engine, key.tenant) as connection:
            return (await connection.execute(_RENEW, values)).first() is not None

    async def note_sending(self, key: WriteKey, owner: str, indexes: Sequence[int], sent_at: datetime) -> int:
        values = {**_named(key), "owner": owner, "indexes": list(indexes), "sent_at": sent_at}
        async with transaction(self._engine, key.tenant) as connection:
            number = (await connection.execute(_SENDING, values)).scalar()
        if number is None:
            raise lost_lease(key)
        return int(number)

    async def note_outcomes(self, key: WriteKey, number: int, outcomes: Sequence[Outcome]) -> None:
        async with transaction(self._engine, key.tenant) as connection:
            await connection.execute(_ENDED, {"number": number, "outcomes": to_json(outcomes).decode()})

    async def batches(self, key: WriteKey) -> list[Batch]:
        async with transaction(self._engine, key.tenant) as connection:
            rows = (await connection.execute(_BATCHES, _named(key))).all()
        return [Batch(tuple(row.indexes), row.sent_at, _outcomes(row.outcomes)) for row in rows]

    async def finish(self, key: WriteKey, owner: str, rest: Sequence[Outcome]) -> None:
        async with transaction(self._engine, key.tenant) as connection:
            if (await connection.execute(_FINISH, {**_named(key), "owner": owner})).first() is None:
                raise lost_lease(key)
            if rest:
                indexes = [outcome.index for outcome in rest]
                values = {**_named(key), "indexes": indexes, "outcomes": to_json(rest).decode()}
                await connection.execute(_REST, values)

    async def forget(self, key: WriteKey, owner: str) -> None:
        async with transaction(self._engine, key.tenant) as connection:
            await connection.execute(_FORGET, {**_named(key), "owner": owner})

    async def sweep(self) -> None:
        """Remove keys that have expired."""
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:  # they expire in all of them
            await connection.execute(_SWEEP)


def _named(key: WriteKey) -> dict[str, Any]:
    return {"workspace": key.tenant, "key": key.key}


def _outcomes(stored: str | None) -> tuple[Outcome, ...] | None:
    return None if stored is None else from_json(orjson.loads(stored))


async def keep_swept(store: GatewayStore) -> None:
    """Remove expired keys for ever, in the background."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        with suppress(Unavailable):  # next time, then
            await store.sweep()
