"""joined cases: each points to the one that continues"""

import sqlalchemy as sa
from alembic import op

revision = "0007_pre_joined_cases"
down_revision = "0006_pre_explanations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("cases", schema=None) as batch_op:
        batch_op.add_column(sa.Column("joined_into", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("joined_no", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.create_index(op.f("ix_cases_joined_into"), ["joined_into"], unique=False)
        batch_op.create_foreign_key(op.f("fk_cases_joined_into_cases"), "cases", ["joined_into"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("cases", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("fk_cases_joined_into_cases"), type_="foreignkey")
        batch_op.drop_index(op.f("ix_cases_joined_into"))
        batch_op.drop_column("joined_no")
        batch_op.drop_column("joined_into")
