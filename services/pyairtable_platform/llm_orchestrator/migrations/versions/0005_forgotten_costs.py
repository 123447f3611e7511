"""What chats cost that were deleted: a month's cost counts on, whoever deletes sessions meanwhile."""

import sqlalchemy as sa
from alembic import op

from pyairtable_platform.common import row_security

revision = "0005"
down_revision = "0004"

# A trigger, because runs are deleted in several ways (with their session, with a person) and none may forget the cost.
_KEEP = """
CREATE FUNCTION keep_cost() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO forgotten_costs (workspace, month, usd)
    VALUES (old.workspace, date_trunc('month', old.created_at AT TIME ZONE 'UTC')::date, old.cost_usd)
    ON CONFLICT (workspace, month) DO UPDATE SET usd = forgotten_costs.usd + excluded.usd;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.create_table(
        "forgotten_costs",
        sa.Column("workspace", sa.Text, primary_key=True),
        sa.Column("month", sa.Date, primary_key=True, comment="its first day, by UTC"),
        sa.Column("usd", sa.Numeric, nullable=False),
        comment="of runs that were deleted",
    )
    row_security.enable("forgotten_costs")
    op.create_index("runs_by_time", "runs", ["workspace", "created_at"])
    op.execute(_KEEP)
    op.execute(
        "CREATE TRIGGER keep_cost AFTER DELETE ON runs FOR EACH ROW WHEN (old.cost_usd > 0) "
        "EXECUTE FUNCTION keep_cost()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER keep_cost ON runs")
    op.execute("DROP FUNCTION keep_cost()")
    op.drop_index("runs_by_time", "runs")
    op.drop_table("forgotten_costs")
