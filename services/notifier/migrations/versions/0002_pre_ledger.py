"""the ledger: alerts, obligations, deliveries and their proofs"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0002_pre"
down_revision = "0001_pre"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("received_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("planned_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("territory", sa.String(length=9), nullable=False),
        sa.Column(
            "facts",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column("edition", sa.String(length=200), nullable=False),
        sa.Column("urgency", sa.String(length=9), nullable=False),
        sa.Column("routing", sa.LargeBinary(), nullable=False),
        sa.Column(
            "advisories",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "withheld",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column("needs_a_person", sa.String(length=40), nullable=True),
        sa.Column("traceparent", sa.String(length=55), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index("ix_alerts_received_at_id", ["received_at", "id"], unique=False)
    op.create_table(
        "alert_handles",
        sa.Column("handle", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("is_reporter", sa.String(length=1), nullable=False),
        sa.Column("received_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.CheckConstraint("is_reporter IN ('y', 'n')", name=op.f("ck_alert_handles_is_reporter")),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_handles_alert_id_alerts")),
        sa.PrimaryKeyConstraint("handle", name=op.f("pk_alert_handles")),
        sa.UniqueConstraint("alert_id", "agency_id", name=op.f("uq_alert_handles_alert_id_agency_id")),
    )
    with op.batch_alter_table("alert_handles", schema=None) as batch_op:
        batch_op.create_index(
            "ix_alert_handles_agency_id_received_at", ["agency_id", "received_at"], unique=False
        )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=True),
        sa.Column("agency_id", sa.Uuid(), nullable=True),
        sa.Column("role", sa.String(length=60), nullable=False),
        sa.Column(
            "bodies",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column("notice_no", sa.Integer(), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("urgency", sa.SmallInteger(), nullable=False),
        sa.Column("deadline_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("planned_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("next_wakeup_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("attempt_no", sa.Integer(), nullable=False),
        sa.Column("claim_token", sa.Uuid(), nullable=True),
        sa.Column("endpoint_id", sa.Uuid(), nullable=True),
        sa.Column("endpoint_version", sa.Integer(), nullable=True),
        sa.Column("transmitted_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("opened_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("acknowledged_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("escalation_level", sa.Integer(), nullable=False),
        sa.Column("is_test", sa.Boolean(), nullable=False),
        sa.Column("traceparent", sa.String(length=55), nullable=True),
        sa.CheckConstraint(
            "(state = 'leased') = (claim_token IS NOT NULL)", name=op.f("ck_deliveries_leased_has_token")
        ),
        sa.CheckConstraint(
            "(state = 'waiting') = (reason IS NOT NULL)", name=op.f("ck_deliveries_waiting_has_reason")
        ),
        sa.CheckConstraint(
            "state <> 'leased' OR agency_id IS NOT NULL", name=op.f("ck_deliveries_leased_has_agency")
        ),
        sa.CheckConstraint(
            "state <> 'transmitted' OR transmitted_at IS NOT NULL", name=op.f("ck_deliveries_transmitted_at")
        ),
        sa.CheckConstraint(
            "state IN ('acknowledged', 'rejected', 'dead', 'cancelled', 'superseded')"
            " OR next_wakeup_at IS NOT NULL",
            name=op.f("ck_deliveries_cannot_be_forgotten"),
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'leased', 'transmitted', 'acknowledged', 'rejected', 'dead', 'cancelled',"
            " 'superseded')",
            name=op.f("ck_deliveries_state"),
        ),
        sa.CheckConstraint(
            "is_test = (alert_id IS NULL)", name=op.f("ck_deliveries_only_tests_without_alert")
        ),
        sa.ForeignKeyConstraint(
            ["agency_id", "endpoint_id", "endpoint_version"],
            ["endpoint_versions.agency_id", "endpoint_versions.endpoint_id", "endpoint_versions.version"],
            name="fk_deliveries_endpoint_endpoint_versions",
        ),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_deliveries_alert_id_alerts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint(
            "alert_id",
            "agency_id",
            "notice_no",
            "rung",
            name=op.f("uq_deliveries_alert_id_agency_id_notice_no_rung"),
        ),
        postgresql_with={"fillfactor": "70"},
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index("ix_deliveries_agency_id_planned_at", ["agency_id", "planned_at"], unique=False)
        batch_op.create_index("ix_deliveries_alert_id", ["alert_id"], unique=False)
        batch_op.create_index(
            "ix_deliveries_endpoint_id_waiting",
            ["endpoint_id"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting' AND endpoint_id IS NOT NULL"),
            postgresql_where=sa.text("state = 'waiting' AND endpoint_id IS NOT NULL"),
        )
        batch_op.create_index("ix_deliveries_planned_at_id", ["planned_at", "id"], unique=False)
        batch_op.create_index(
            "ix_deliveries_sendable",
            ["urgency", "next_wakeup_at"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting' AND endpoint_id IS NOT NULL"),
            postgresql_where=sa.text("state = 'waiting' AND endpoint_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_deliveries_watched",
            ["next_wakeup_at"],
            unique=False,
            sqlite_where=sa.text(
                "state IN ('leased', 'transmitted') OR (state = 'waiting' AND endpoint_id IS NULL)"
            ),
            postgresql_where=sa.text(
                "state IN ('leased', 'transmitted') OR (state = 'waiting' AND endpoint_id IS NULL)"
            ),
        )
    op.create_table(
        "obligations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=6), nullable=False),
        sa.Column("force", sa.String(length=20), nullable=False),
        sa.Column("edition", sa.String(length=200), nullable=False),
        sa.Column(
            "citation",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "duty", sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"), nullable=False
        ),
        sa.Column("obliged", sa.String(length=60), nullable=False),
        sa.Column("obliged_agency_id", sa.Uuid(), nullable=True),
        sa.Column("recipient", sa.String(length=60), nullable=True),
        sa.Column("recipient_agency_id", sa.Uuid(), nullable=True),
        sa.Column("delivery_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("starts_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("due_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("breach_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("dispatch_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("met_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("alarmed_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("breached_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("evidence_id", sa.Uuid(), nullable=True),
        sa.Column("next_check_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.CheckConstraint("state <> 'met' OR met_at IS NOT NULL", name=op.f("ck_obligations_met_at")),
        sa.CheckConstraint(
            "state <> 'open' OR breach_at IS NULL OR breached_at IS NOT NULL OR next_check_at IS NOT NULL",
            name=op.f("ck_obligations_open_is_watched"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'open') OR next_check_at IS NULL", name=op.f("ck_obligations_closed_rests")
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'open', 'met', 'waived', 'cancelled')", name=op.f("ck_obligations_state")
        ),
        sa.CheckConstraint(
            "due_at IS NULL OR breach_at IS NULL OR due_at <= breach_at",
            name=op.f("ck_obligations_due_before_breach"),
        ),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_obligations_alert_id_alerts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_obligations")),
        sa.UniqueConstraint(
            "alert_id",
            "rule",
            "obliged",
            "recipient",
            name=op.f("uq_obligations_alert_id_rule_obliged_recipient"),
        ),
    )
    with op.batch_alter_table("obligations", schema=None) as batch_op:
        batch_op.create_index("ix_obligations_alert_id", ["alert_id"], unique=False)
        batch_op.create_index("ix_obligations_delivery_id", ["delivery_id"], unique=False)
        batch_op.create_index(
            "ix_obligations_next_check_at",
            ["next_check_at"],
            unique=False,
            sqlite_where=sa.text("next_check_at IS NOT NULL"),
            postgresql_where=sa.text("next_check_at IS NOT NULL"),
        )
    op.create_table(
        "attempts",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("no", sa.Integer(), nullable=False),
        sa.Column("claim_token", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=True),
        sa.Column("endpoint_version", sa.Integer(), nullable=True),
        sa.Column("started_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("ended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.CheckConstraint(
            "(outcome IS NULL) = (ended_at IS NULL)", name=op.f("ck_attempts_ended_with_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_attempts_delivery_id_deliveries")
        ),
        sa.PrimaryKeyConstraint("delivery_id", "no", name=op.f("pk_attempts")),
    )
    op.create_table(
        "escalations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("raised_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_escalations_delivery_id_deliveries")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_escalations")),
        sa.UniqueConstraint("delivery_id", "level", name=op.f("uq_escalations_delivery_id_level")),
    )
    with op.batch_alter_table("escalations", schema=None) as batch_op:
        batch_op.create_index("ix_escalations_alert_id", ["alert_id"], unique=False)
    op.create_table(
        "notices",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("rendered_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_notices_delivery_id_deliveries")
        ),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_notices")),
    )
    op.create_table(
        "receipts",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("received_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("is_signed", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("status IN ('received', 'accepted', 'rejected')", name=op.f("ck_receipts_status")),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_receipts_delivery_id_deliveries")
        ),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_receipts")),
    )


def downgrade() -> None:
    for table in (
        "receipts",
        "notices",
        "escalations",
        "attempts",
        "obligations",
        "deliveries",
        "alert_handles",
        "alerts",
    ):
        op.drop_table(table)
