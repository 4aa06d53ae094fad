"""what a retired body owed passes to its successor"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0021_pre_successions"
down_revision = "0020_pre_joinings"
branch_labels = None
depends_on = None

LOOKED_AT = "look_at IS NOT NULL"


def upgrade() -> None:
    op.create_table(
        "successions",
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("former_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=60), nullable=False),
        sa.Column("successor_id", sa.Uuid(), nullable=False),
        sa.Column("passed_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_successions_alert_id_alerts")),
        sa.PrimaryKeyConstraint("alert_id", "former_id", "role", name=op.f("pk_successions")),
    )
    op.add_column("agencies", sa.Column("successor_id", sa.Uuid()))
    op.add_column("agencies", sa.Column("look_at", UTCDateTime()))
    op.create_index(
        "ix_agencies_look_at",
        "agencies",
        ["look_at"],
        sqlite_where=sa.text(LOOKED_AT),
        postgresql_where=sa.text(LOOKED_AT),
    )
    op.execute("UPDATE agencies SET look_at = retired_at WHERE retired_at IS NOT NULL")


def downgrade() -> None:
    op.drop_index("ix_agencies_look_at", "agencies")
    op.drop_column("agencies", "look_at")
    op.drop_column("agencies", "successor_id")
    op.drop_table("successions")
