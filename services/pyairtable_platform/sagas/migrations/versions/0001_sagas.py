"""Sagas, their steps, the keys they were started with, and the processes that carry them out."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from pyairtable_platform.common import events, row_security

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _moment(name: str, *, nullable: bool = True) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    _make_sagas()
    _make_steps()
    op.create_table(
        "start_keys",
        sa.Column("scope", sa.Text, primary_key=True, comment="who made the key: a principal, or peer"),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("request_hash", sa.LargeBinary, nullable=False),
        sa.Column("saga_id", sa.Text, nullable=False, index=True),
    )
    op.create_table(
        "executors",
        sa.Column("name", sa.Text, primary_key=True, comment="a replica, the same over its restarts"),
        sa.Column("life", sa.BigInteger, nullable=False, comment="counts its starts and its deaths"),
        _moment("lease_until", nullable=False),
    )
    events.create_table()


def _make_sagas() -> None:
    op.create_table(
        "sagas",
        sa.Column("saga_id", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, sa.Identity(), unique=True, comment="the order of lists"),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("business_key", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False, comment="of the workspace it is about; empty for none"),
        sa.Column("workspace", sa.Text, sa.Computed("split_part(tenant, ':', 1)", persisted=True), comment="its name"),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("input", JSONB, nullable=False),
        sa.Column("output", JSONB),
        sa.Column("current_step", sa.Text, nullable=False, server_default=""),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.Column("error_reason", sa.Text, nullable=False, server_default=""),
        sa.Column("run", sa.Integer, nullable=False, server_default="1", comment="grows when it is resumed"),
        sa.Column("is_going_back", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("cancel_asked", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column(
            "is_queued", sa.Boolean, nullable=False, server_default=sa.false(), comment="this run, at the engine"
        ),
        sa.Column("executor", sa.Text, nullable=False, server_default="", comment="name/life that carries it out"),
        sa.Column("claim", sa.BigInteger, nullable=False, server_default="0", comment="grows with every taking up"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
        _moment("ended_at"),
    )
    active = sa.text("state IN ('PENDING', 'RUNNING', 'COMPENSATING')")
    op.create_index("one_active", "sagas", ["type", "business_key"], unique=True, postgresql_where=active)
    op.create_index("waiting", "sagas", ["created_at"], postgresql_where=sa.text("NOT is_queued"))
    op.create_index("by_workspace", "sagas", ["workspace", "number"])
    op.create_index("by_principal", "sagas", ["principal", "number"])
    row_security.enable("sagas", "tenant")


def _make_steps() -> None:
    op.create_table(
        "steps",
        sa.Column("saga_id", sa.Text, sa.ForeignKey("sagas.saga_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="PENDING"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.Column("error_reason", sa.Text, nullable=False, server_default=""),
        _moment("started_at"),
        _moment("ended_at"),
        sa.Column("output", JSONB),
        sa.Column("memo", JSONB, comment="what undoing it needs; shown to nobody, gone when the saga has ended"),
        sa.UniqueConstraint("saga_id", "name"),
    )
    row_security.enable("steps", "tenant")


def downgrade() -> None:
    events.drop_table()
    for table in ("executors", "start_keys", "steps", "sagas"):
        op.drop_table(table)
