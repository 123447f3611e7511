"""People's accounts: who they are, how they came in, the letters to them, and what was decided about them."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from pyairtable_platform.common import effects, events, row_security

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def moment(name: str, *, required: bool = False, comment: str | None = None) -> "sa.Column[Any]":
    """A column that holds a time; one that is required is made by PostgreSQL, whose clock all replicas share."""
    default = sa.func.clock_timestamp() if required else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not required, server_default=default, comment=comment)


def text(name: str, *, comment: str | None = None, **options: Any) -> "sa.Column[Any]":
    return sa.Column(name, sa.Text, nullable=False, comment=comment, **options)


def upgrade() -> None:
    make_accounts()
    make_logins()
    make_letters()
    make_limits_and_audit()
    effects.create_table()
    events.create_table()


def make_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("user_id", sa.Text, primary_key=True, comment="uuid4 in hexadecimal digits"),
        text("email", comment="as it was written"),
        text("email_folded", unique=True, comment="what is equal for equal mailboxes"),
        text("user_name", comment="as it was written"),
        text("user_name_folded", unique=True),
        text("display_name"),
        text("password_hash", comment="argon2id in PHC form; empty once erased"),
        sa.Column("state", sa.Text, nullable=False),
        moment("created_at", required=True),
        moment("verified_at", comment="when the address was proved"),
        moment("password_changed_at", required=True),
        sa.Column("is_erased", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.CheckConstraint("state IN ('unverified', 'active', 'disabled')", name="accounts_state"),
    )
    op.create_table(
        "known_addresses",
        sa.Column("user_id", sa.Text, sa.ForeignKey("accounts.user_id"), primary_key=True),
        sa.Column("address", sa.Text, primary_key=True, comment="IPv4, or a /64 of IPv6"),
        moment("used_at", required=True),
        comment="from where a person logged in: no stranger's wrong passwords close these",
    )


def make_logins() -> None:
    op.create_table(
        "logins",
        sa.Column("login_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, sa.ForeignKey("accounts.user_id"), nullable=False),
        text("device"),
        text("address"),
        moment("created_at", required=True),
        moment("used_at", required=True),
        moment("expires_at", required=True, comment="unless it is refreshed"),
        moment("ends_at", required=True, comment="whether it is refreshed or not"),
        moment("ended_at"),
        text("ended_why", server_default=""),
        sa.Column("refresh_sha256", sa.LargeBinary, nullable=False, comment="of the refresh token that counts"),
        sa.Column("previous_sha256", sa.LargeBinary, comment="of the one before"),
        sa.Column("salt", sa.LargeBinary, nullable=False, comment="of the last rotation"),
        moment("rotated_at", required=True),
        sa.Column("generation", sa.Integer, nullable=False, server_default="1", comment="how many tokens there were"),
        sa.Index("logins_of_person", "user_id", "created_at"),
    )
    op.create_table(
        "spent_refresh_tokens",
        sa.Column("sha256", sa.LargeBinary, primary_key=True),
        sa.Column("login_id", sa.Text, sa.ForeignKey("logins.login_id", ondelete="CASCADE"), nullable=False),
        moment("spent_at", required=True),
        sa.Index("spent_refresh_tokens_of_login", "login_id"),
        comment="shown again they tell of theft; forgotten with their login",
    )


def make_letters() -> None:
    op.create_table(
        "letter_tokens",
        sa.Column("sha256", sa.LargeBinary, primary_key=True, comment="of the token, which is kept nowhere"),
        sa.Column("purpose", sa.Text, nullable=False, comment="verify or reset"),
        sa.Column("user_id", sa.Text, nullable=False, comment="nobody's for an address without an account"),
        moment("created_at", required=True),
        moment("expires_at", required=True),
        moment("used_at"),
        sa.Index("letter_tokens_of_person", "user_id", "purpose"),
    )
    op.create_table(
        "letters",
        sa.Column("letter_id", sa.BigInteger, sa.Identity(), primary_key=True),
        text("key", unique=True, comment="of idempotency: becomes the Message-ID"),
        text("template"),
        text("user_id", comment="empty for an address without an account"),
        sa.Column("sealed", sa.LargeBinary, comment="recipient and values, AES-256-GCM; gone once sent"),
        text("state", comment="queued, sent, failed or dropped"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        moment("created_at", required=True),
        moment("next_at", required=True, comment="not tried again before"),
        moment("expires_at", comment="not worth sending after"),
        moment("sent_at"),
        text("last_error", server_default="", comment="a kind, never what the mail server said"),
        sa.Index("letters_queued", "next_at", postgresql_where=sa.text("state = 'queued'")),
        sa.Index("letters_of_person", "user_id"),
    )


def make_limits_and_audit() -> None:
    op.create_table(
        "attempts",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True, comment="a hash: people type passwords where names belong"),
        moment("full_at", required=True, comment="when all attempts are free again"),
        sa.Index("attempts_full", "full_at"),
        comment="leaky buckets: attempts are counted before anything is checked",
    )
    op.create_table(
        "audit",
        sa.Column("event_id", sa.BigInteger, sa.Identity(), primary_key=True),
        moment("occurred_at", required=True),
        text("action"),
        text("outcome", comment="allowed or refused"),
        text("reason", server_default=""),
        text("user_id", server_default=""),
        text("address", server_default=""),
        text("workspace", server_default=""),
        sa.Column("details", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.Index("audit_of_person", "user_id", "event_id"),
        sa.Index("audit_of_action", "action", "event_id"),
        sa.Index("audit_in_time", "occurred_at"),
        comment="decisions about credentials, never what was shown",
    )
    row_security.enable("audit", some_are_nobodys=True)


def downgrade() -> None:
    row_security.disable("audit")
    events.drop_table()
    effects.drop_table()
    for table in (
        "audit",
        "attempts",
        "letters",
        "letter_tokens",
        "spent_refresh_tokens",
        "logins",
        "known_addresses",
        "accounts",
    ):
        op.drop_table(table)
