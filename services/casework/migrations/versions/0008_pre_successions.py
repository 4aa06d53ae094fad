"""who took the place of a retired body"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0008_pre_successions"
down_revision = "0007_pre_joined_cases"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "successions",
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("former_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=60), nullable=False),
        sa.Column("successor_id", sa.Uuid(), nullable=False),
        sa.Column("passed_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("alert_id", "former_id", "role", name=op.f("pk_successions")),
    )


def downgrade() -> None:
    op.drop_table("successions")
