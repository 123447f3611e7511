"""Who made the access keys of workspaces, and which membership an API key of a person counts by."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    made_by = sa.Column(
        "made_by", sa.Text, nullable=False, server_default="", comment="principal; empty: the installation, or unknown"
    )
    op.add_column("access_keys", made_by)
    op.create_index("access_keys_of_maker", "access_keys", ["made_by"])
    member_since = sa.Column(
        "member_since", sa.DateTime(timezone=True), comment="joined_at of the membership it was made by; null is any"
    )
    op.add_column("api_keys", member_since)


def downgrade() -> None:
    op.drop_column("api_keys", "member_since")
    op.drop_index("access_keys_of_maker", "access_keys")
    op.drop_column("access_keys", "made_by")
