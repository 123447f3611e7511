"""Row security of the workspaces themselves."""

from pyairtable_platform.common import row_security

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    row_security.enable("workspaces", "name")


def downgrade() -> None:
    row_security.disable("workspaces")
