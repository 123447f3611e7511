"""The tables of DBOS 3.4, which remembers the progress of sagas, in a schema of its own.

DBOS has a chain of its own; a later release that wants more tables gets a revision here that runs it again.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "sagas_dbos"


def upgrade() -> None:
    from dbos import DBOS

    from pyairtable_platform.common.database import role_of

    url = op.get_bind().engine.url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    # It works on connections of its own and makes indexes CONCURRENTLY, which wait for every open transaction: ours
    # must not be one. What it has made when it fails, it finds again the next time.
    with op.get_context().autocommit_block():
        DBOS.migrate(url, schema=SCHEMA, application_role=role_of("sagas"))
    op.execute("SET LOCAL search_path TO sagas")  # of the transaction that was ended


def downgrade() -> None:
    op.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
