"""the duty roster: an endpoint's step of the ladder and its hours"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0003_pre_roster"
down_revision = "0002_pre_outbox_created"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("endpoints", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rung", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
        batch_op.add_column(
            sa.Column(
                "hours",
                sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"),
                nullable=True,
            )
        )


def downgrade() -> None:
    with op.batch_alter_table("endpoints", schema=None) as batch_op:
        batch_op.drop_column("hours")
        batch_op.drop_column("rung")
