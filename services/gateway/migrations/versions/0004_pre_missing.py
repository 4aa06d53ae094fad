"""outbox: what a reader never took is remembered; found by the time at which it left"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0004_pre_missing"
down_revision = "0003_pre_person"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_outbox_published_at"), "outbox", ["published_at"])
    op.create_table(
        "outbox_missing",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("reader", sa.String(40), nullable=False),
        sa.Column("found_at", UTCDateTime(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("again_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "reader", name=op.f("pk_outbox_missing")),
    )
    op.create_index(op.f("ix_outbox_missing_again_at"), "outbox_missing", ["again_at"])
    op.create_table(
        "outbox_compared",
        sa.Column("reader", sa.String(40), nullable=False),
        sa.Column("until", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("reader", name=op.f("pk_outbox_compared")),
    )


def downgrade() -> None:
    op.drop_table("outbox_compared")
    op.drop_index(op.f("ix_outbox_missing_again_at"), table_name="outbox_missing")
    op.drop_table("outbox_missing")
    op.drop_index(op.f("ix_outbox_published_at"), table_name="outbox")
