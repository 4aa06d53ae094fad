"""clients, sign-in codes and sessions: which person holds them; none for a system"""

import sqlalchemy as sa
from alembic import op

revision = "0003_pre_person"
down_revision = "0002_pre_outbox_created"
branch_labels = None
depends_on = None

_TABLES = ("clients", "sign_in_codes", "console_sessions")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("person", sa.String(64), nullable=True))


def downgrade() -> None:
    for table in _TABLES:
        op.drop_column(table, "person")
