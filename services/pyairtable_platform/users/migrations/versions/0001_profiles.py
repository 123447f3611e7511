"""Profiles and preferences of people, the words by which they are found, and the ledger of what sagas asked for."""

import sqlalchemy as sa
from alembic import op

from pyairtable_platform.common import effects

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "profiles",
        sa.Column("user_id", sa.Text, primary_key=True, comment="as in the auth service"),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("sort_name", sa.Text(collation="C"), nullable=False, comment="display_name, folded"),
        sa.Column("avatar_url", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("default_workspace", sa.Text, nullable=False),
        sa.Column("theme", sa.SmallInteger, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("letters_about_invitations", sa.Boolean, nullable=False),
        sa.Column("show_costs", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("changes_of_state", sa.Integer, nullable=False, comment="how often it was deleted or restored"),
        sa.Index("profiles_listed", "sort_name", "user_id"),
    )
    op.create_table(
        "profile_words",
        sa.Column("word", sa.Text(collation="C"), nullable=False, comment="of name or address, folded"),
        sa.Column("user_id", sa.Text, sa.ForeignKey("profiles.user_id", ondelete="CASCADE"), nullable=False),
        sa.PrimaryKeyConstraint("word", "user_id"),
        sa.Index("words_of_profile", "user_id"),
        comment="Who is found by which begin of a word",
    )
    effects.create_table()


def downgrade() -> None:
    effects.drop_table()
    op.drop_table("profile_words")
    op.drop_table("profiles")
