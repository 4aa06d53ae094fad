"""what a person found of a proposed match"""

import sqlalchemy as sa
from alembic import op

revision = "0006_pre_match_verdicts"
down_revision = "0005_pre_corrections"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "match_verdicts",
        sa.Column("low_id", sa.Uuid(), nullable=False),
        sa.Column("high_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=6), nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("low_id", "high_id", name=op.f("pk_match_verdicts")),
    )


def downgrade() -> None:
    op.drop_table("match_verdicts")
