"""Access keys, as hashes only, and the keys that sign identity tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text, primary_key=True),
        sa.Column("public_key", sa.LargeBinary, nullable=False, comment="Ed25519, raw"),
        sa.Column("sealed_private_key", sa.LargeBinary, nullable=False, comment="AES-256-GCM under JWT_SECRET"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_table(
        "access_keys",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("workspace_uid", sa.Text, nullable=False, comment="of the object that declared it; empty is any"),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("is_declared", sa.Boolean, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False, comment="of the whole key, which is kept nowhere"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True), comment="to the minute"),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("is_revoked_for_good", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("replaced_by", sa.Text, comment="the key that a rotation made in its place"),
        sa.Index("access_keys_of_workspace", "workspace", "created_at", "key_id"),
    )


def downgrade() -> None:
    op.drop_table("access_keys")
    op.drop_table("signing_keys")
