"""an exclusion keeps when it was raised for the first time"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0022_pre_first_since"
down_revision = "0021_pre_successions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("exclusions", sa.Column("first_since", UTCDateTime()))
    op.execute("UPDATE exclusions SET first_since = since")


def downgrade() -> None:
    op.drop_column("exclusions", "first_since")
