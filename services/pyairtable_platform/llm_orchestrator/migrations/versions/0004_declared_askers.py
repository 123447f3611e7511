"""By which declaration who began a run has the role, if by one: it is asked again at each tool call."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    declaration = sa.Column(
        "declaration", sa.Text, nullable=False, server_default="", comment="owners that a declaration names, as a hash"
    )
    op.add_column("runs", declaration)


def downgrade() -> None:
    op.drop_column("runs", "declaration")
