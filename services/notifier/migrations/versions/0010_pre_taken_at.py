"""when a version of an endpoint was taken, so that receipt keys can change over side by side"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0010_pre_taken_at"
down_revision = "0009_pre_evidence"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "endpoint_versions", sa.Column("taken_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True)
    )


def downgrade() -> None:
    op.drop_column("endpoint_versions", "taken_at")
