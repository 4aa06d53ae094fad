"""deliveries: each has a place in its agency's inbox, which a cursor stands for"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0024_pre_inbox_places"
down_revision = "0023_pre_missing"
branch_labels = None
depends_on = None

READABLE = sa.text("state IN ('waiting', 'leased', 'transmitted', 'dead') AND rung IN (0, 3)")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("handed_at", UTCDateTime()))
    op.create_index(
        op.f("ix_deliveries_readable"),
        "deliveries",
        ["agency_id", "handed_at"],
        sqlite_where=READABLE,
        postgresql_where=READABLE,
    )
    op.create_table(
        "inbox_places",
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("last_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("agency_id", name=op.f("pk_inbox_places")),
    )


def downgrade() -> None:
    op.drop_table("inbox_places")
    op.drop_index(op.f("ix_deliveries_readable"), table_name="deliveries")
    op.drop_column("deliveries", "handed_at")
