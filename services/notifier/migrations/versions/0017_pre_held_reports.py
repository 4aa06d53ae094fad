"""public reports that wait for the hub"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0017_pre_held_reports"
down_revision = "0016_pre_periods"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("hold", sa.String(length=7), nullable=True))
        batch_op.add_column(sa.Column("held_until", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column("released_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column("released_by", sa.String(length=200), nullable=True))
        batch_op.create_check_constraint(op.f("ck_alerts_hold"), "hold IN ('hub', 'cluster')")
        batch_op.create_check_constraint(
            op.f("ck_alerts_released_by"), "(released_at IS NULL) = (released_by IS NULL)"
        )
    with op.batch_alter_table("obligations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("is_held", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("obligations", schema=None) as batch_op:
        batch_op.drop_column("is_held")
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("ck_alerts_released_by"), type_="check")
        batch_op.drop_constraint(op.f("ck_alerts_hold"), type_="check")
        for column in ("released_by", "released_at", "held_until", "hold"):
            batch_op.drop_column(column)
