"""Usage by month and idempotency keys of writes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "usage",
        sa.Column("workspace", sa.Text, primary_key=True),
        sa.Column("month", sa.Text, primary_key=True, comment="as 2026-11"),
        sa.Column("base_id", sa.Text, primary_key=True, comment="empty for calls that concern no base"),
        sa.Column("calls", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "write_keys",
        sa.Column("workspace", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("request_hash", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False, comment="the run that holds the lease"),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_done", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, index=True),
    )
    op.create_table(
        "write_batches",
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("indexes", postgresql.ARRAY(sa.Integer), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        # Text, because jsonb refuses U+0000, which a cell may hold.
        sa.Column("outcomes", sa.Text, comment="JSON; null while the batch is on its way"),
        sa.ForeignKeyConstraint(["workspace", "key"], ["write_keys.workspace", "write_keys.key"], ondelete="CASCADE"),
        sa.Index("write_batches_of_key", "workspace", "key", "number"),
    )


def downgrade() -> None:
    op.drop_table("write_batches")
    op.drop_table("write_keys")
    op.drop_table("usage")
