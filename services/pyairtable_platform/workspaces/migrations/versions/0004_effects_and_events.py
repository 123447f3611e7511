"""The ledger of idempotency keys, and the outbox of events."""

from pyairtable_platform.common import effects, events

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    effects.create_table()
    events.create_table()


def downgrade() -> None:
    events.drop_table()
    effects.drop_table()
