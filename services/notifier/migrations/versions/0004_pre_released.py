"""released and waived duties"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0004_pre_released"
down_revision = "0003_pre_proposals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("obligations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("released_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column("released_by", sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column("waived_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.create_check_constraint(
            op.f("ck_obligations_waived_at"), "(state = 'waived') = (waived_at IS NOT NULL)"
        )
        batch_op.create_check_constraint(
            op.f("ck_obligations_released_by"), "(released_at IS NULL) = (released_by IS NULL)"
        )


def downgrade() -> None:
    with op.batch_alter_table("obligations", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("ck_obligations_released_by"), type_="check")
        batch_op.drop_constraint(op.f("ck_obligations_waived_at"), type_="check")
        for column in ("waived_at", "released_by", "released_at"):
            batch_op.drop_column(column)
