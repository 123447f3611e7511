"""Row security of access keys."""

from pyairtable_platform.common import row_security

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    row_security.enable("access_keys")


def downgrade() -> None:
    row_security.disable("access_keys")
