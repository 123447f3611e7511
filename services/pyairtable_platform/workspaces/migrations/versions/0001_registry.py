"""The registry of workspaces."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "registry",
        sa.Column("is_the_one", sa.Boolean, primary_key=True, server_default=sa.true()),
        sa.Column("id", sa.Text, nullable=False, comment="tells readers that the database was made anew"),
        sa.Column(
            "revision", sa.BigInteger, nullable=False, comment="of the last change; its row is the writers' lock"
        ),
        sa.CheckConstraint("is_the_one", name="registry_has_one_row"),
    )
    op.execute("INSERT INTO registry (id, revision) VALUES (gen_random_uuid()::text, 0)")
    op.create_table(
        "workspaces",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False, unique=True, comment="of its last change: its version"),
        sa.Column("content", sa.Text, comment="JSON; null: removed, kept so that every replica hears of it"),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


def downgrade() -> None:
    op.drop_table("workspaces")
    op.drop_table("registry")
