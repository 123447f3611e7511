"""The receiver's ledger: what a caller asks for with an idempotency key happens once, whoever repeats it, and can be
taken back once.

The table `effects` stands in the schema of the service that has the effect, and is written in the transaction of the
effect: both are there, or neither is. A key means one request for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from .errors import FailedPrecondition, Reason

Answer = dict[str, Any]
Do = Callable[[], Awaitable[Answer]]
TakeBack = Callable[[Answer], Awaitable[None]]

# Who comes second with a key waits here for the transaction of the first (the primary key), and finds its row, or makes
# its own when the first was rolled back. This holds over all replicas.
_BEGIN = sa.text(
    "INSERT INTO effects (key, request_hash, state) VALUES (:key, :request_hash, 'done') "
    "ON CONFLICT (key) DO NOTHING RETURNING 1"
)
_ANSWER = sa.text("UPDATE effects SET answer = CAST(:answer AS jsonb) WHERE key = :key")
_TOMBSTONE = sa.text(
    "INSERT INTO effects (key, state, undone_at) VALUES (:key, 'undone', now()) "
    "ON CONFLICT (key) DO NOTHING RETURNING 1"
)
_READ = sa.text("SELECT request_hash, state, answer FROM effects WHERE key = :key FOR UPDATE")
_UNDONE = sa.text("UPDATE effects SET state = 'undone', undone_at = now() WHERE key = :key")


async def once(connection: AsyncConnection, key: str, request: bytes, do: Do) -> Answer:
    """Have an effect in the caller's transaction, unless it was had before; the answer that `do` gave, then or now.

    `request` is what was asked, without the key itself (`SerializeToString(deterministic=True)`). `do` changes what it
    changes through `connection`, and returns JSON. When it raises, nothing has happened and the key is free again.
    Raises FailedPrecondition: IDEMPOTENCY_KEY_REUSED for another request, CONFLICT when the effect was taken back.
    """
    digest = hashlib.sha256(request).hexdigest()
    # A savepoint, so that a caller who goes on after an error of `do` does not keep the key of nothing.
    async with connection.begin_nested():
        if (await connection.execute(_BEGIN, {"key": key, "request_hash": digest})).first() is not None:
            answer = await do()
            await connection.execute(_ANSWER, {"key": key, "answer": orjson.dumps(answer).decode()})
            return answer
    known = (await connection.execute(_READ, {"key": key})).one()
    if known.state == "undone":
        raise FailedPrecondition("what this idempotency key stood for was taken back: it cannot be done any more")
    if known.request_hash != digest:
        raise FailedPrecondition(
            "this idempotency key was used with another request: use a new key for a new request",
            reason=Reason.IDEMPOTENCY_KEY_REUSED,
        )
    stored: Answer = known.answer
    return stored


async def undo(connection: AsyncConnection, key: str, take_back: TakeBack) -> bool:
    """Take back the effect with this key, given its answer; whether there ever was one (a repeat answers the same).

    A key that is not known is closed: the effect may still be on its way, and is refused when it comes.
    """
    if (await connection.execute(_TOMBSTONE, {"key": key})).first() is not None:
        return False
    known = (await connection.execute(_READ, {"key": key})).one()
    if known.state == "undone":
        return known.request_hash is not None
    async with connection.begin_nested():
        await take_back(known.answer)
        await connection.execute(_UNDONE, {"key": key})
    return True


def create_table() -> None:
    """For migrations: make the ledger of a schema."""
    from alembic import op  # services do without it

    op.create_table(
        "effects",
        sa.Column("key", sa.Text, primary_key=True, comment="of the caller, as <saga id>:<step>"),
        sa.Column("request_hash", sa.Text, comment="SHA-256; null: taken back before it came"),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("answer", postgresql.JSONB),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("undone_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("state IN ('done', 'undone')", name="effects_state"),
    )


def drop_table() -> None:
    """For downgrades."""
    from alembic import op  # services do without it

    op.drop_table("effects")
