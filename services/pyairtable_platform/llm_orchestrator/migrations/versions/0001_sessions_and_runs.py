"""Sessions, messages, runs and their logs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _sessions_and_messages()
    _runs()
    _log()


def downgrade() -> None:
    for table in ("tool_calls", "run_steps", "run_events", "runs", "messages", "sessions"):
        op.drop_table(table)


def _sessions_and_messages() -> None:
    op.create_table(
        "sessions",
        sa.Column("workspace", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
    )
    op.create_index("sessions_last_used", "sessions", ["workspace", sa.text("updated_at DESC"), "id"])
    op.create_table(
        "messages",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("run_id", sa.Uuid),
        sa.Column("tools_used", sa.JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["workspace", "session_id"], ["sessions.workspace", "sessions.id"], ondelete="CASCADE"),
    )
    op.create_index("messages_of_session", "messages", ["workspace", "session_id", "position"])


def _runs() -> None:
    counters = ("input_tokens", "output_tokens", "thinking_tokens", "cached_tokens", "total_tokens")
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("base_id", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("thinking_budget", sa.Integer),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("response", sa.Text, nullable=False, server_default=""),
        sa.Column("settled_response", sa.Text, nullable=False, server_default=""),
        sa.Column("thoughts", sa.Text, nullable=False, server_default=""),
        *(sa.Column(name, sa.BigInteger, nullable=False, server_default="0") for name in counters),
        sa.Column("model_calls", sa.Integer, nullable=False, server_default="0"),
        sa.Column("cost_usd", sa.Numeric, server_default="0"),
        sa.Column("failure", sa.JSON),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("deadline_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
        sa.Column("cancel_requested_at", _TIME),
        sa.Column("steps", sa.Integer, nullable=False, server_default="0"),
        sa.Column("last_event", sa.Integer, nullable=False, server_default="0"),
        sa.Column("lease_owner", sa.Text, nullable=False, server_default=""),
        sa.Column("lease_token", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("lease_until", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["workspace", "session_id"], ["sessions.workspace", "sessions.id"], ondelete="CASCADE"),
        sa.CheckConstraint("state IN ('running', 'completed', 'failed', 'cancelled')", name="runs_state"),
    )
    op.create_index("runs_of_session", "runs", ["workspace", "session_id", "position"])
    in_progress = sa.text("state = 'running'")
    op.create_index("one_run_at_a_time", "runs", ["workspace", "session_id"], unique=True, postgresql_where=in_progress)
    op.create_index("runs_by_lease", "runs", ["lease_until"], postgresql_where=in_progress)
    op.create_index("runs_by_idempotency_key", "runs", ["workspace", "idempotency_key"], unique=True)


def _log() -> None:
    op.create_table(
        "run_events",
        _run_id(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("time", _TIME, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
    )
    op.create_table(
        "run_steps",
        _run_id(),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("content", sa.JSON, nullable=False),
    )
    op.create_table(
        "tool_calls",
        _run_id(),
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("started_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.Column("summary", sa.Text, nullable=False, server_default=""),
        sa.Column("duration_ms", sa.Integer, nullable=False, server_default="0"),
        sa.Column("response", sa.JSON),
    )


def _run_id() -> sa.Column[object]:
    return sa.Column("run_id", sa.Uuid, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
