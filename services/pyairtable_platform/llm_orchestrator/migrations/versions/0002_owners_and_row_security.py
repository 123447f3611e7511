"""Chats of people, row security, and the ledger of what sagas ask for."""

import sqlalchemy as sa
from alembic import op

from pyairtable_platform.common import effects, row_security

revision = "0002"
down_revision = "0001"

_OF_RUNS = ("run_events", "run_steps", "tool_calls")
_TABLES = ("sessions", "messages", "runs", *_OF_RUNS)


def upgrade() -> None:
    for table in ("sessions", "messages", "runs"):
        op.add_column(table, _text("owner", "id of the person; empty: chats that the keys of the workspace share"))
    for table in ("sessions", "runs"):
        op.add_column(table, _text("principal", "who began it"))
    _key_sessions_by(("workspace", "owner"))
    op.create_index("sessions_of_person", "sessions", ["owner"], postgresql_where=sa.text("owner <> ''"))
    for table in _OF_RUNS:
        _add_workspace(table)
    for table in _TABLES:
        row_security.enable(table)
    effects.create_table()


def downgrade() -> None:
    effects.drop_table()
    for table in _TABLES:
        row_security.disable(table)
    for table in _OF_RUNS:
        op.drop_column(table, "workspace")
    op.drop_index("sessions_of_person", "sessions")
    # Without owners, chats of people would be everybody's.
    op.execute("DELETE FROM sessions WHERE owner <> ''")
    _key_sessions_by(("workspace",))
    for table in ("sessions", "runs"):
        op.drop_column(table, "principal")
    for table in ("sessions", "messages", "runs"):
        op.drop_column(table, "owner")


def _text(name: str, comment: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="", comment=comment)


def _key_sessions_by(whose: tuple[str, ...]) -> None:
    """Ids of sessions and idempotency keys come from callers, so they are each caller's own."""
    for table in ("messages", "runs"):
        op.execute(
            f"DO $$ DECLARE name text; BEGIN SELECT conname INTO STRICT name FROM pg_constraint WHERE contype = 'f' "  # noqa: S608
            f"AND conrelid = '{table}'::regclass AND confrelid = 'sessions'::regclass; "
            f"EXECUTE format('ALTER TABLE {table} DROP CONSTRAINT %I', name); END $$"
        )
    op.drop_constraint("sessions_pkey", "sessions")
    op.create_primary_key("sessions_pkey", "sessions", [*whose, "id"])
    for table in ("messages", "runs"):
        session = [*whose, "session_id"]
        op.create_foreign_key(f"{table}_session", table, "sessions", session, [*whose, "id"], ondelete="CASCADE")
    _index("sessions_last_used", "sessions", [*whose, sa.text("updated_at DESC"), "id"])
    _index("messages_of_session", "messages", [*whose, "session_id", "position"])
    _index("runs_of_session", "runs", [*whose, "session_id", "position"])
    in_progress = sa.text("state = 'running'")
    _index("one_run_at_a_time", "runs", [*whose, "session_id"], unique=True, postgresql_where=in_progress)
    _index("runs_by_idempotency_key", "runs", [*whose, "idempotency_key"], unique=True)


def _index(name: str, table: str, columns: list[object], **options: object) -> None:
    op.drop_index(name, table)
    op.create_index(name, table, columns, **options)  # type: ignore[arg-type]


def _add_workspace(table: str) -> None:
    """The workspace of a run's rows, taken from the transaction that writes them; one about all workspaces may not."""
    op.add_column(table, sa.Column("workspace", sa.Text))
    op.execute(f"UPDATE {table} SET workspace = runs.workspace FROM runs WHERE runs.id = {table}.run_id")  # noqa: S608
    this = sa.text("nullif(current_setting('app.workspace', true), '*')")
    op.alter_column(table, "workspace", nullable=False, server_default=this)
