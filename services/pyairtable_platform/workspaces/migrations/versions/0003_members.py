"""Members, invitations, names that calls took, and the audit log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from pyairtable_platform.common import row_security

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("reservations", "members", "invitations", "audit_log")
_NOW = sa.func.now()
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "reservations",
        sa.Column("workspace", sa.Text, primary_key=True, comment="stands here as long as the workspace does"),
        sa.Column("uid", sa.Text, nullable=False, unique=True),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("owner_user_id", sa.Text, nullable=False, index=True),
        sa.Column("step_key", sa.Text, nullable=False, unique=True, comment="of the saga step that took it"),
        sa.Column("object_uid", sa.Text, comment="of the object in the cluster that stands for it"),
        sa.Column("is_ended", sa.Boolean, nullable=False, server_default=sa.false(), comment="it is being given back"),
        sa.Column("made_at", _TIME, nullable=False, server_default=_NOW),
    )
    op.create_table(
        "members",
        sa.Column("workspace", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, primary_key=True, index=True),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("joined_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("invited_by", sa.Text, nullable=False, server_default=""),
        sa.CheckConstraint("role IN ('owner', 'admin', 'editor', 'viewer')", name="role_is_known"),
    )
    _create_invitations()
    op.create_table(
        "audit_log",
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False, comment="who takes the name next does not see it"),
        sa.Column("occurred_at", _TIME, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("details", JSONB, nullable=False),
    )
    op.create_index("audit_log_newest", "audit_log", ["workspace", "tenant", "occurred_at", "event_id"])
    op.create_index("audit_log_principal", "audit_log", ["principal"])
    for table in TABLES:
        row_security.enable(table)


def _create_invitations() -> None:
    op.create_table(
        "invitations",
        sa.Column("invitation_id", sa.Text, primary_key=True),
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False, comment="as it was written"),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="pending", comment="expired is told by the time"),
        sa.Column("invited_by", sa.Text, nullable=False),
        sa.Column("accepted_by", sa.Text, nullable=False, server_default=""),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("letter_due_at", _TIME, comment="when to try to send it next; null: nothing is left to do"),
        sa.Column("letter_attempts", sa.Integer, nullable=False, server_default="0"),
        sa.CheckConstraint("state IN ('pending', 'accepted', 'declined', 'revoked')", name="state_is_known"),
    )
    op.create_index(
        "invitations_pending",
        "invitations",
        ["workspace", sa.text("lower(email)")],
        unique=True,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index("invitations_address", "invitations", [sa.text("lower(email)")])
    op.create_index("invitations_letters", "invitations", ["letter_due_at"])
    op.create_table(
        "invitation_tokens",
        sa.Column("hash", sa.LargeBinary, primary_key=True, comment="SHA-256 of what stands in a letter"),
        sa.Column(
            "invitation_id",
            sa.Text,
            sa.ForeignKey("invitations.invitation_id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
    )


def downgrade() -> None:
    for table in ("invitation_tokens", *reversed(TABLES)):
        op.drop_table(table)
