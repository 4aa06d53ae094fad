"""answers by phone and paper, and what was read out"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0015_pre_answers"
down_revision = "0014_pre_redrives"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("receipts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("means", sa.String(length=6), nullable=False, server_default="system"))
        batch_op.create_check_constraint(
            batch_op.f("ck_receipts_means"), "means IN ('system', 'phone', 'paper')"
        )
    op.create_table(
        "read_outs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("by_agency_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_read_outs_delivery_id_deliveries")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_read_outs")),
    )
    with op.batch_alter_table("read_outs", schema=None) as batch_op:
        batch_op.create_index(op.f("ix_read_outs_delivery_id"), ["delivery_id"], unique=False)


def downgrade() -> None:
    op.drop_table("read_outs")
    with op.batch_alter_table("receipts", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_receipts_means"), type_="check")
        batch_op.drop_column("means")
