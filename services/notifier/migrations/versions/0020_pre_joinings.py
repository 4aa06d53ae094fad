"""alerts about one child: pairs that a person joined, and what hangs together by them"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0020_pre_joinings"
down_revision = "0019_pre_breaches"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "joinings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("low_id", sa.Uuid(), nullable=False),
        sa.Column("high_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=6), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("decided_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.CheckConstraint("state IN ('joined', 'apart')", name=op.f("ck_joinings_state")),
        sa.CheckConstraint("low_id <> high_id", name=op.f("ck_joinings_two_alerts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_joinings")),
        sa.UniqueConstraint("low_id", "high_id", name=op.f("uq_joinings_low_id_high_id")),
    )
    op.create_index(op.f("ix_joinings_high_id"), "joinings", ["high_id"])
    op.create_table(
        "alert_groups",
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("head_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_alert_groups")),
    )
    op.create_index(op.f("ix_alert_groups_head_id"), "alert_groups", ["head_id"])
    op.create_table(
        "turns",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_turns")),
    )


def downgrade() -> None:
    op.drop_table("turns")
    op.drop_index(op.f("ix_alert_groups_head_id"), table_name="alert_groups")
    op.drop_table("alert_groups")
    op.drop_index(op.f("ix_joinings_high_id"), table_name="joinings")
    op.drop_table("joinings")
