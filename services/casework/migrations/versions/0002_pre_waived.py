"""waived duties"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0002_pre_waived"
down_revision = "0001_pre"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("tasks", "duty_facts"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("waived_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))


def downgrade() -> None:
    for table in ("tasks", "duty_facts"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("waived_at")
