"""how each endpoint stood when it was last tested"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0025_pre_drills"
down_revision = "0024_pre_inbox_places"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drills",
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.Column("test_id", sa.Uuid()),
        sa.Column("tested_at", UTCDateTime()),
        sa.Column("judged_at", UTCDateTime()),
        sa.Column("cause", sa.String(20)),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failing_since", UTCDateTime()),
        sa.Column("proven_at", UTCDateTime()),
        sa.Column("proof_id", sa.Uuid()),
        sa.PrimaryKeyConstraint("endpoint_id", name=op.f("pk_drills")),
    )
    op.create_index("ix_drills_test_id", "drills", ["test_id"])


def downgrade() -> None:
    op.drop_index("ix_drills_test_id", "drills")
    op.drop_table("drills")
