"""The role of who began a run: its tools may no more, also when the run has outlasted the call."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    role = sa.Column(
        "role", sa.Text, nullable=False, server_default="", comment="of who began it; empty: a peer, no limit"
    )
    op.add_column("runs", role)


def downgrade() -> None:
    op.drop_column("runs", "role")
