"""Row security: a transaction sees and writes rows of the workspace it says it is for, and no other. For migrations.

Enabled and forced (the owner of a table is held to it too, superusers are not: services are neither). A transaction
says its workspace with `database.transaction`; one that says none sees nothing and can insert nothing.
"""

from __future__ import annotations

from alembic import op

# PostgreSQL docs, CREATE POLICY: without WITH CHECK the condition of USING holds for new rows too. A setting that was
# local to an earlier transaction is the empty text afterwards, which must count as none.
_POLICY = (
    "CREATE POLICY one_workspace ON {table} USING ("
    "{column} = nullif(current_setting('app.workspace', true), '') "
    "OR current_setting('app.workspace', true) = '*')"
)
# A transaction about no workspace may write rows that are about none; reading them takes '*'.
_NOBODYS = "CREATE POLICY nobodys_rows ON {table} FOR INSERT WITH CHECK ({column} = '')"


def enable(table: str, column: str = "workspace", *, some_are_nobodys: bool = False) -> None:
    """Limit a table to the workspace of the transaction, by the column that holds it.

    `some_are_nobodys`: everybody may insert rows whose column is empty.
    """
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(_POLICY.format(table=table, column=column))
    if some_are_nobodys:
        op.execute(_NOBODYS.format(table=table, column=column))


def disable(table: str) -> None:
    """Take the limit off again, for a downgrade."""
    op.execute(f"DROP POLICY IF EXISTS nobodys_rows ON {table}")
    op.execute(f"DROP POLICY one_workspace ON {table}")
    op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
