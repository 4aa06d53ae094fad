"""breached acts raise an alarm, and their owners say why"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0019_pre_breaches"
down_revision = "0018_pre_pulled_until"
branch_labels = None
depends_on = None

OWNED = "breach_id IS NOT NULL"
OPEN = "state IN ('waiting', 'leased', 'transmitted', 'dead', 'rejected')"
ESCALATED = "escalation_level > 0 AND escalates_id IS NULL"


def upgrade() -> None:
    op.create_table(
        "breaches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid()),
        sa.Column("role", sa.String(length=60), nullable=False),
        sa.Column("breached_at", UTCDateTime(), nullable=False),
        sa.Column("raised_at", UTCDateTime(), nullable=False),
        sa.Column("superior_id", sa.Uuid()),
        sa.Column("told_id", sa.Uuid()),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_breaches_alert_id_alerts")),
        sa.ForeignKeyConstraint(["told_id"], ["deliveries.id"], name=op.f("fk_breaches_told_id_deliveries")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breaches")),
        sa.UniqueConstraint("told_id", name=op.f("uq_breaches_told_id")),
    )
    op.create_index("ix_breaches_alert_id", "breaches", ["alert_id"])
    op.create_index("ix_breaches_breached_at_id", "breaches", ["breached_at", "id"])
    op.create_table(
        "breach_statements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("obligation_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("stated_by", sa.String(length=200), nullable=False),
        sa.Column("stated_at", UTCDateTime(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["obligation_id"], ["obligations.id"], name=op.f("fk_breach_statements_obligation_id_obligations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breach_statements")),
        sa.UniqueConstraint(
            "obligation_id",
            "agency_id",
            "token",
            name=op.f("uq_breach_statements_obligation_id_agency_id_token"),
        ),
    )
    op.add_column("obligations", sa.Column("breach_id", sa.Uuid()))
    op.create_index(
        "ix_obligations_breach_id",
        "obligations",
        ["breach_id"],
        sqlite_where=sa.text(OWNED),
        postgresql_where=sa.text(OWNED),
    )
    # A refusal is an open alarm as well.
    op.drop_index("ix_deliveries_alarmed", "deliveries")
    for name, where in (
        ("ix_deliveries_escalated", ESCALATED),
        ("ix_deliveries_alarmed", f"{ESCALATED} AND {OPEN}"),
    ):
        op.create_index(
            name,
            "deliveries",
            ["silent_since", "id"],
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )


def downgrade() -> None:
    op.drop_index("ix_deliveries_escalated", "deliveries")
    op.drop_index("ix_obligations_breach_id", "obligations")
    op.drop_column("obligations", "breach_id")
    op.drop_table("breach_statements")
    op.drop_table("breaches")
