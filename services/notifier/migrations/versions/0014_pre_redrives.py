"""redrives: failures found by index, and sending many again"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0014_pre_redrives"
down_revision = "0013_pre_engine"
branch_labels = None
depends_on = None

TROUBLED = (
    "state IN ('dead', 'rejected') OR (state = 'waiting' AND reason NOT IN ('new', 'pull', 'redriven'))"
)


def upgrade() -> None:
    op.create_table(
        "redrives",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("proposal_id", sa.Uuid(), nullable=False),
        sa.Column(
            "selection",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column("proposed_by", sa.String(length=200), nullable=False),
        sa.Column("confirmed_by", sa.String(length=200), nullable=False),
        sa.Column("started_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("finished_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("redriven", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("after_urgency", sa.SmallInteger(), nullable=True),
        sa.Column("after_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redrives")),
        sa.UniqueConstraint("proposal_id", name=op.f("uq_redrives_proposal_id")),
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index(
            "ix_deliveries_troubled",
            ["urgency", "id"],
            unique=False,
            sqlite_where=sa.text(TROUBLED),
            postgresql_where=sa.text(TROUBLED),
        )


def downgrade() -> None:
    op.drop_index("ix_deliveries_troubled", "deliveries")
    op.drop_table("redrives")
