"""API keys of people, sessions that ended, and signing keys that begin to sign at a time of their own."""

import sqlalchemy as sa
from alembic import op

from pyairtable_platform.common import row_security

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "signing_keys",
        sa.Column("signs_from", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.execute("UPDATE signing_keys SET signs_from = created_at")
    op.execute(
        "CREATE TABLE revocations ("
        "session text PRIMARY KEY, "
        "counts boolean NOT NULL DEFAULT true, "
        "ended_at timestamptz NOT NULL DEFAULT now(), "
        "changed_by xid8 NOT NULL DEFAULT pg_current_xact_id())"
    )
    op.execute("COMMENT ON COLUMN revocations.counts IS 'false: it was taken back'")
    op.create_index("revocations_in_order", "revocations", ["changed_by"])
    op.create_index("revocations_by_age", "revocations", ["ended_at"])
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("workspace_uid", sa.Text, nullable=False, comment="of the object it was made for; empty is any"),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False, comment="at most this; the member's own role limits it further"),
        sa.Column("sha256", sa.LargeBinary, nullable=False, comment="of the whole key, which is kept nowhere"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True), comment="to the minute"),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Index("api_keys_of_person", "user_id", "created_at", "key_id"),
    )
    row_security.enable("api_keys")


def downgrade() -> None:
    row_security.disable("api_keys")
    op.drop_table("api_keys")
    op.drop_table("revocations")
    op.drop_column("signing_keys", "signs_from")
