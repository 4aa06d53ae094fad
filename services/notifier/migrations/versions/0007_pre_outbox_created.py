"""outbox: found by the time of writing, to be compared with what readers took"""

from alembic import op

revision = "0007_pre_outbox_created"
down_revision = "0006_pre_later_facts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_outbox_created_at"), "outbox", ["created_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_outbox_created_at"), table_name="outbox")
