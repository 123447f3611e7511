"""Events: what happened in one service, for others to hear of, at least once each and in the order of each subject.

    change + record() --one transaction--> outbox --Relay--> Valkey stream events:<area> --Consumer--> handle

The outbox is what counts: it keeps events for a week, and a stream that Valkey lost is filled again from it. So an
event may come twice; whoever handles it knows it by its `event_id` (common/effects.py, or a unique column).
Names end in a version (`workspace.created.v1`): what an event of a name holds only ever grows. docs/data.md lists them.
"""

from __future__ import annotations

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from .event import Event
from .event_consumer import Consumer, Handle
from .event_relay import OUTBOX_CHANNEL, Relay
from .event_tail import Tail

__all__ = ["Consumer", "Event", "Handle", "Relay", "Tail", "create_table", "drop_table", "record"]

# Numbers are drawn under a lock of the subject that lasts to the end of the transaction, so that of two transactions
# about one subject the one with the lower number is the one that others see first.
_RECORD = sa.text(
    "WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(1869968483, hashtext(:subject)), pg_notify(:channel, '')) "
    "INSERT INTO outbox (event_id, type, subject, workspace, principal, occurred_at, data) "
    "SELECT :event_id, :type, :subject, :workspace, :principal, :occurred_at, CAST(:data AS jsonb) FROM turn"
)


async def record(connection: AsyncConnection, event: Event) -> None:
    """Tell of a change, in its transaction: the event goes out when and only when the change is committed.

    The transaction's workspace must be the event's, or the event must be about none.
    """
    values = {**event.to_fields(), "occurred_at": event.occurred_at, "data": orjson.dumps(dict(event.data)).decode()}
    await connection.execute(_RECORD, {**values, "channel": OUTBOX_CHANNEL})


def create_table() -> None:
    """For migrations: make the outbox of a schema."""
    from alembic import op  # services do without it

    from . import row_security

    text = {name: sa.Column(name, sa.Text, nullable=False) for name in ("type", "subject", "workspace", "principal")}
    op.create_table(
        "outbox",
        sa.Column(
            "id", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment="the order within a subject"
        ),
        sa.Column("event_id", sa.Text, nullable=False, unique=True),
        *text.values(),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", postgresql.JSONB, nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), comment="null: not yet, or to be published again"),
        sa.Index("outbox_waiting", "id", postgresql_where=sa.text("published_at IS NULL")),
        sa.Index("outbox_published", "published_at"),
    )
    row_security.enable("outbox", some_are_nobodys=True)


def drop_table() -> None:
    """For downgrades."""
    from alembic import op  # services do without it

    op.drop_table("outbox")
