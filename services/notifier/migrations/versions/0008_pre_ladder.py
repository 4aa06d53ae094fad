"""the ladder: silence has a clock of its own, each rung is a delivery; breaches have an owner and a reason"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0008_pre_ladder"
down_revision = "0007_pre_outbox_created"
branch_labels = None
depends_on = None

SILENCE_CLIMBS = (
    "silent_since IS NULL OR climb_at IS NOT NULL"
    " OR state IN ('acknowledged', 'rejected', 'cancelled', 'superseded')"
)
OPEN = "state IN ('waiting', 'leased', 'transmitted', 'dead')"
INDEXES = {
    "ix_deliveries_climb_at": (["climb_at"], f"climb_at IS NOT NULL AND {OPEN}"),
    "ix_deliveries_alarmed": (
        ["silent_since", "id"],
        f"escalation_level > 0 AND escalates_id IS NULL AND {OPEN}",
    ),
    "ix_deliveries_escalates_id": (["escalates_id"], "escalates_id IS NOT NULL"),
}
COLUMNS = {
    "endpoint_versions": ["rung", "hours"],
    "deliveries": ["climb_at", "silent_since", "escalates_id"],
    "escalations": ["rung", "climbed_id"],
    "obligations": ["breach_owner_id", "breach_reason"],
}


def upgrade() -> None:
    # Columns alone are added in place: rebuilding a table on SQLite would lose its checks.
    op.add_column(
        "endpoint_versions",
        sa.Column("rung", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "endpoint_versions",
        sa.Column("hours", sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql")),
    )
    op.add_column("deliveries", sa.Column("escalates_id", sa.Uuid()))
    op.add_column("deliveries", sa.Column("silent_since", UTCDateTime()))
    op.add_column(
        "deliveries",
        sa.Column(
            "climb_at",
            UTCDateTime(),
            sa.CheckConstraint(SILENCE_CLIMBS, name=op.f("ck_deliveries_silence_climbs")),
        ),
    )
    op.execute(
        "UPDATE deliveries SET silent_since = planned_at, climb_at = COALESCE(next_wakeup_at, planned_at)"
        " WHERE alert_id IS NOT NULL AND rung = 0"
    )
    for name, (columns, where) in INDEXES.items():
        op.create_index(
            name, "deliveries", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )
    op.add_column("escalations", sa.Column("rung", sa.SmallInteger()))
    op.add_column("escalations", sa.Column("climbed_id", sa.Uuid()))
    op.add_column("obligations", sa.Column("breach_owner_id", sa.Uuid()))
    op.add_column("obligations", sa.Column("breach_reason", sa.String(length=8)))


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, "deliveries")
    for table, columns in COLUMNS.items():
        for column in columns:
            op.drop_column(table, column)
