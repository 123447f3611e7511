"""The tables, as the migrations make them, in the schema that the engine's search path names.

The columns `workspace` hold tenants (`Workspace.tenant`). JSON columns are `json`, not `jsonb`: contents of the model
must come out exactly as they went in, and `jsonb` reorders keys and refuses U+0000.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

_TIME = sa.DateTime(timezone=True)


def _of_transaction() -> sa.Column[str]:
    """The workspace, which the transaction says (`database.transaction`)."""
    return sa.Column("workspace", sa.Text, nullable=False, server_default=sa.FetchedValue())


sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("workspace", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, primary_key=True, server_default=""),  # a person; empty: nobody's
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("principal", sa.Text, nullable=False, server_default=""),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("updated_at", _TIME, nullable=False),
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("workspace", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False, server_default=""),
    sa.Column("session_id", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("run_id", sa.Uuid(as_uuid=False)),  # unset: brought along by the caller
    sa.Column("tools_used", sa.JSON, nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True),
    sa.Column("position", sa.BigInteger, sa.Identity(always=True), nullable=False),
    sa.Column("workspace", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False, server_default=""),
    sa.Column("session_id", sa.Text, nullable=False),
    sa.Column("principal", sa.Text, nullable=False, server_default=""),
    sa.Column("role", sa.Text, nullable=False, server_default=""),
    sa.Column("declaration", sa.Text, nullable=False, server_default=""),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("base_id", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("thinking_budget", sa.Integer),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    # The answer: all pieces in the log, and the part of it that whole model calls gave.
    sa.Column("response", sa.Text, nullable=False, server_default=""),
    sa.Column("settled_response", sa.Text, nullable=False, server_default=""),
    sa.Column("thoughts", sa.Text, nullable=False, server_default=""),
    sa.Column("input_tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("output_tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("thinking_tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("cached_tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("total_tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("model_calls", sa.Integer, nullable=False, server_default="0"),
    sa.Column("cost_usd", sa.Numeric, server_default="0"),  # NULL: no price is known
    sa.Column("failure", sa.JSON(none_as_null=True)),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("deadline_at", _TIME, nullable=False),
    sa.Column("ended_at", _TIME),
    sa.Column("cancel_requested_at", _TIME),
    sa.Column("steps", sa.Integer, nullable=False, server_default="0"),
    sa.Column("last_event", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lease_owner", sa.Text, nullable=False, server_default=""),
    sa.Column("lease_token", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("lease_until", _TIME, nullable=False),
)

forgotten_costs = sa.Table(
    "forgotten_costs",
    metadata,
    sa.Column("workspace", sa.Text, primary_key=True),
    sa.Column("month", sa.Date, primary_key=True),
    sa.Column("usd", sa.Numeric, nullable=False),
)

run_events = sa.Table(
    "run_events",
    metadata,
    _of_transaction(),
    sa.Column("run_id", sa.Uuid(as_uuid=False), primary_key=True),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("time", _TIME, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
)

run_steps = sa.Table(
    "run_steps",
    metadata,
    _of_transaction(),
    sa.Column("run_id", sa.Uuid(as_uuid=False), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("content", sa.JSON, nullable=False),
)

tool_calls = sa.Table(
    "tool_calls",
    metadata,
    _of_transaction(),
    sa.Column("run_id", sa.Uuid(as_uuid=False), primary_key=True),
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
    sa.Column("response", sa.JSON(none_as_null=True)),
)
