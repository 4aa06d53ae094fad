"""parent locks: who kept an alert from the parents, and who let it go to them"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0012_pre_parent_locks"
down_revision = "0011_pre_changes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "parent_locks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("locked", sa.Boolean(), nullable=False),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parent_locks")),
    )
    with op.batch_alter_table("parent_locks", schema=None) as batch_op:
        batch_op.create_index("ix_parent_locks_alert_id", ["alert_id"], unique=False)


def downgrade() -> None:
    op.drop_table("parent_locks")
