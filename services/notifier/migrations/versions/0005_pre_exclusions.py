"""exclusions: who must not be able to tell that an alert exists"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0005_pre_exclusions"
down_revision = "0004_pre_released"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "exclusions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("mark", sa.String(length=80), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=True),
        sa.Column("role", sa.String(length=60), nullable=True),
        sa.Column("territory", sa.String(length=9), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("since", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("raised_by", sa.String(length=60), nullable=False),
        sa.Column("lifted_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("reason", sa.LargeBinary(), nullable=True),
        sa.Column(
            "known",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"),
            nullable=False,
        ),
        sa.CheckConstraint("state IN ('in_force', 'lifted')", name=op.f("ck_exclusions_state")),
        sa.CheckConstraint(
            "(state = 'lifted') = (lifted_at IS NOT NULL)", name=op.f("ck_exclusions_lifted_at")
        ),
        sa.CheckConstraint(
            "(agency_id IS NULL) = (role IS NOT NULL)", name=op.f("ck_exclusions_agency_or_role")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exclusions")),
        sa.UniqueConstraint("alert_id", "mark", name=op.f("uq_exclusions_alert_id_mark")),
    )
    with op.batch_alter_table("exclusions", schema=None) as batch_op:
        batch_op.create_index("ix_exclusions_agency_id", ["agency_id"], unique=False)


def downgrade() -> None:
    op.drop_table("exclusions")
