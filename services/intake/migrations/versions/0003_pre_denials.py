"""a conflict of interest may be raised and lowered while an alert runs"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0003_pre_denials"
down_revision = "0002_pre_outbox_created"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("denials", schema=None) as batch_op:
        batch_op.add_column(sa.Column("raised_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column("lifted_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("denials", schema=None) as batch_op:
        batch_op.drop_column("lifted_at")
        batch_op.drop_column("raised_at")
