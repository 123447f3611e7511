"""Sagas in PostgreSQL as callers see them: started, listed, cancelled, resumed, made nobody's."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pyairtable_platform.common import events
from pyairtable_platform.common.database import EVERY_WORKSPACE, transaction
from pyairtable_platform.common.errors import FailedPrecondition, InvalidInput, Reason

from .journal import as_json, event_of
from .model import Saga
from .rows import NOTIFY_CHANNEL, read_saga, with_steps
from .service import Filter, NewSaga

_TAKE_KEY = sa.text(
    "INSERT INTO start_keys (scope, key, request_hash, saga_id) VALUES (:scope, :key, :request_hash, '') "
    "ON CONFLICT DO NOTHING RETURNING 1"
)
_READ_KEY = sa.text("SELECT request_hash, saga_id FROM start_keys WHERE scope = :scope AND key = :key")
_BIND_KEY = sa.text("UPDATE start_keys SET saga_id = :saga_id WHERE scope = :scope AND key = :key")
_INSERT = sa.text(
    "INSERT INTO sagas (saga_id, type, state, business_key, tenant, principal, input) "
    "VALUES (:saga_id, :type, 'PENDING', :business_key, :tenant, :principal, CAST(:input AS jsonb)) "
    "ON CONFLICT (type, business_key) WHERE state IN ('PENDING', 'RUNNING', 'COMPENSATING') DO NOTHING RETURNING 1"
)
_INSERT_STEP = sa.text(
    "INSERT INTO steps (saga_id, position, name, tenant) VALUES (:saga_id, :position, :name, :tenant)"
)
_ACTIVE = sa.text(
    "SELECT saga_id FROM sagas WHERE type = :type AND business_key = :business_key "
    "AND state IN ('PENDING', 'RUNNING', 'COMPENSATING')"
)
_LIST = (
    "SELECT * FROM sagas WHERE number < :before "
    "AND (:workspace = '' OR workspace = :workspace) AND (:tenant = '' OR tenant = :tenant) "
    "AND (:principal = '' OR principal = :principal) AND (:type = '' OR type = :type) "
    "AND (:state = '' OR state = :state) ORDER BY number DESC LIMIT :limit"
)
_CANCEL = sa.text(
    "UPDATE sagas SET cancel_asked = true, updated_at = clock_timestamp() WHERE saga_id = :saga_id "
    "AND state IN ('PENDING', 'RUNNING') AND NOT is_going_back RETURNING 1"
)
_IS_CANCEL_ASKED = sa.text("SELECT cancel_asked FROM sagas WHERE saga_id = :saga_id")
_RESUME = sa.text(
    "UPDATE sagas SET state = CASE WHEN is_going_back THEN 'COMPENSATING' ELSE 'RUNNING' END, run = run + 1, "
    "is_queued = false, ended_at = NULL, cancel_asked = false, updated_at = clock_timestamp(), "
    "error = CASE WHEN is_going_back THEN error ELSE '' END, "
    "error_reason = CASE WHEN is_going_back THEN error_reason ELSE '' END "
    "WHERE saga_id = :saga_id AND state = 'FAILED' RETURNING 1"
)
_RESUME_STEPS = sa.text(
    "UPDATE steps SET ended_at = NULL, state = CASE state WHEN 'FAILED' THEN 'PENDING' ELSE 'COMPENSATING' END "
    "WHERE saga_id = :saga_id AND (state = 'COMPENSATION_FAILED' OR state = 'FAILED' AND NOT "
    "(SELECT is_going_back FROM sagas WHERE sagas.saga_id = steps.saga_id))"
)
_QUEUED = sa.text("UPDATE sagas SET is_queued = true WHERE saga_id = :saga_id AND run = :run")
_WAITING = sa.text(
    "SELECT saga_id, run FROM sagas WHERE NOT is_queued AND state IN ('PENDING', 'RUNNING', 'COMPENSATING') "
    "AND updated_at < clock_timestamp() - make_interval(secs => :age) ORDER BY created_at LIMIT 100"
)
_ABOUT_PERSON = "(principal = :principal OR business_key = :user_id OR input ->> 'user_id' = :user_id)"
_OF_PERSON = sa.text(f"SELECT * FROM sagas WHERE {_ABOUT_PERSON} ORDER BY number")  # noqa: S608
_IN_PROGRESS = sa.text(
    f"SELECT saga_id, type FROM sagas WHERE {_ABOUT_PERSON} AND ended_at IS NULL "  # noqa: S608
    "AND type <> :but ORDER BY number LIMIT 1"
)
_MAKE_NOBODYS = sa.text(
    "UPDATE sagas SET principal = '', input = '{}', output = NULL, error = '', "  # noqa: S608
    "business_key = CASE WHEN business_key = :user_id THEN '' ELSE business_key END "
    f"WHERE {_ABOUT_PERSON} AND ended_at IS NOT NULL RETURNING saga_id"
)
_SCRUB_STEPS = sa.text("UPDATE steps SET output = NULL, memo = NULL, error = '' WHERE saga_id = ANY(:saga_ids)")
_FORGET_KEYS = sa.text("DELETE FROM start_keys WHERE saga_id = ANY(:saga_ids) OR scope = :principal")
_NOTIFY = sa.text(f"SELECT pg_notify('{NOTIFY_CHANNEL}', :saga_id)")
_FORGET = sa.text(
    "DELETE FROM sagas WHERE saga_id IN (SELECT saga_id FROM sagas WHERE state IN ('COMPLETED', 'COMPENSATED') "
    "AND ended_at < now() - make_interval(days => :days) LIMIT 500) RETURNING saga_id, run"
)
_FORGET_KEYS_OF = sa.text("DELETE FROM start_keys WHERE saga_id = ANY(:saga_ids)")


def request_hash(new: NewSaga) -> bytes:
    """What stands for a request under an idempotency key."""
    asked = [new.type, new.principal, new.input]
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).digest()


class SagaStore:
    """All sagas. Who may see which is the rule of service.py: the store crosses workspaces."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def start(self, new: NewSaga) -> tuple[Saga, bool]:
        """The saga, and whether it is new. Raises FailedPrecondition (IDEMPOTENCY_KEY_REUSED)."""
        while True:
            # The active saga of a business key may be about any workspace, or none.
            async with transaction(self._engine, EVERY_WORKSPACE) as connection:
                known = await self._of_key(connection, new)
                if known is not None:
                    return known, False
                saga_id, is_new = await self._insert(connection, new)
                if saga_id:
                    if new.key:
                        values = {"scope": new.scope, "key": new.key, "saga_id": saga_id}
                        await connection.execute(_BIND_KEY, values)
                    saga = await read_saga(connection, saga_id)
                    assert saga is not None, "it was read or written in this transaction"
                    if is_new:
                        await events.record(connection, event_of("saga.started.v1", saga))
                    return saga, is_new
                await connection.rollback()  # the active one ended in between: the key is free again

    async def _of_key(self, connection: AsyncConnection, new: NewSaga) -> Saga | None:
        if not new.key:
            return None
        values = {"scope": new.scope, "key": new.key, "request_hash": request_hash(new)}
        if (await connection.execute(_TAKE_KEY, values)).first() is not None:
            return None
        row = (await connection.execute(_READ_KEY, {"scope": new.scope, "key": new.key})).one()
        if row.request_hash != request_hash(new):
            text = "this idempotency key was used with another request: use a new key for a new request"
            raise FailedPrecondition(text, reason=Reason.IDEMPOTENCY_KEY_REUSED)
        return await read_saga(connection, row.saga_id)

    async def _insert(self, connection: AsyncConnection, new: NewSaga) -> tuple[str, bool]:
        """The id of the new saga, or of the one that is active; empty when that ended just now."""
        saga_id = uuid.uuid4().hex
        named = {"saga_id": saga_id, "tenant": new.tenant}
        about = {"type": new.type, "business_key": new.business_key, "principal": new.principal}
        inserted = await connection.execute(_INSERT, {**named, **about, "input": as_json(new.input)})
        if inserted.first() is not None:
            rows = [{**named, "position": position, "name": name} for position, name in enumerate(new.steps)]
            await connection.execute(_INSERT_STEP, rows)
            return saga_id, True
        active = await connection.execute(_ACTIVE, {"type": new.type, "business_key": new.business_key})
        return active.scalar() or "", False

    async def read(self, saga_id: str) -> Saga | None:
        """A saga with its steps."""
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            return await read_saga(connection, saga_id)

    async def page(self, wanted: Filter, size: int, token: str) -> tuple[list[Saga], str]:
        """Sagas, the newest first, and the token of the next page."""
        values = {**wanted.__dict__, "before": _number_of(token), "limit": size + 1}
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            rows = (await connection.execute(sa.text(_LIST), values)).all()
            sagas = await with_steps(connection, rows[:size])
        return sagas, str(rows[size - 1].number) if len(rows) > size else ""

    async def cancel(self, saga_id: str) -> bool:
        """Ask that no further step begins; False when it is too late."""
        return await self._change(saga_id, _CANCEL)

    async def is_cancel_asked(self, saga_id: str) -> bool:
        """Whether somebody asked to cancel a saga."""
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            return bool((await connection.execute(_IS_CANCEL_ASKED, {"saga_id": saga_id})).scalar())

    async def resume(self, saga_id: str) -> bool:
        """Let a saga that failed go on; False when it did not fail. Raises FailedPrecondition for another's turn."""
        try:
            return await self._change(saga_id, _RESUME, _RESUME_STEPS)
        except IntegrityError as error:
            text = "another saga of its type and business key is active: wait for its end"
            raise FailedPrecondition(text, saga=saga_id) from error

    async def _change(self, saga_id: str, *statements: Any) -> bool:
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            if (await connection.execute(statements[0], {"saga_id": saga_id})).first() is None:
                return False
            for statement in statements[1:]:
                await connection.execute(statement, {"saga_id": saga_id})
            await connection.execute(_NOTIFY, {"saga_id": saga_id})
        return True

    async def queued(self, saga_id: str, run: int) -> None:
        """Remember that the engine has a run of a saga."""
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            await connection.execute(_QUEUED, {"saga_id": saga_id, "run": run})

    async def waiting(self, age: float) -> list[tuple[str, int]]:
        """Runs that should have got to the engine some seconds ago: whoever started them died in between."""
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            rows = await connection.execute(_WAITING, {"age": age})
            return [(row.saga_id, row.run) for row in rows]

    async def forget_ended(self, days: int) -> list[tuple[str, int]]:
        """Delete sagas that ended well before so many days; (id, last run) of each."""
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            gone = [(row.saga_id, row.run) for row in await connection.execute(_FORGET, {"days": days})]
            await connection.execute(_FORGET_KEYS_OF, {"saga_ids": [saga_id for saga_id, _ in gone]})
        return gone

    async def of_person(self, user_id: str) -> list[Saga]:
        """The sagas that a person started, or that are about them."""
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            rows = await connection.execute(_OF_PERSON, _person(user_id))
            return await with_steps(connection, rows.all())

    async def in_progress_of_person(self, user_id: str, but: str) -> tuple[str, str] | None:
        """Id and type of a saga about a person that has not ended, of any type but one; None when there is none."""
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            row = (await connection.execute(_IN_PROGRESS, {**_person(user_id), "but": but})).first()
        return None if row is None else (row.saga_id, row.type)

    async def make_nobodys(self, user_id: str) -> int:
        """Take a person out of the sagas that have ended: principal, inputs and outputs; how many there were."""
        async with transaction(self._engine, EVERY_WORKSPACE) as connection:
            rows = await connection.execute(_MAKE_NOBODYS, _person(user_id))
            saga_ids = [row.saga_id for row in rows]
            await connection.execute(_SCRUB_STEPS, {"saga_ids": saga_ids})
            await connection.execute(_FORGET_KEYS, {"saga_ids": saga_ids, "principal": f"user:{user_id}"})
        return len(saga_ids)


def _person(user_id: str) -> dict[str, str]:
    return {"principal": f"user:{user_id}", "user_id": user_id}


def _number_of(token: str) -> int:
    if not token:
        return 2**62
    if not token.isascii() or not token.isdigit() or len(token) > 18:
        raise InvalidInput.at("page_token", "is not one of ours", reason=Reason.PAGE_TOKEN_INVALID)
    return int(token)
