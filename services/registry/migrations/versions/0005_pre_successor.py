"""who takes the place of a retired agency"""

import sqlalchemy as sa
from alembic import op

revision = "0005_pre_successor"
down_revision = "0004_pre_returns"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("agencies", schema=None) as batch_op:
        batch_op.add_column(sa.Column("successor_id", sa.Uuid(), nullable=True))
        batch_op.create_foreign_key(
            op.f("fk_agencies_successor_id_agencies"), "agencies", ["successor_id"], ["id"]
        )


def downgrade() -> None:
    with op.batch_alter_table("agencies", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("fk_agencies_successor_id_agencies"), type_="foreignkey")
        batch_op.drop_column("successor_id")
