"""Row security of usage and writes."""

from pyairtable_platform.common import row_security

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = ("usage", "write_keys", "write_batches")


def upgrade() -> None:
    for table in _TABLES:
        row_security.enable(table)


def downgrade() -> None:
    for table in _TABLES:
        row_security.disable(table)
