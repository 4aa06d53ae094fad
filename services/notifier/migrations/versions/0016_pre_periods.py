"""duties that return: periods, watermarks, what was handed in"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0016_pre_periods"
down_revision = "0015_pre_answers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "periods",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=9), nullable=False),
        sa.Column("edition", sa.String(length=200), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=60), nullable=False),
        sa.Column("territory", sa.String(length=9), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("opens_at", UTCDateTime(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=False),
        sa.Column("breach_at", UTCDateTime(), nullable=True),
        sa.Column("is_provisional", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=6), nullable=False),
        sa.Column("met_at", UTCDateTime(), nullable=True),
        sa.Column("return_id", sa.Uuid(), nullable=True),
        sa.Column("alarmed_at", UTCDateTime(), nullable=True),
        sa.Column("breached_at", UTCDateTime(), nullable=True),
        sa.Column("passed_from", sa.Uuid(), nullable=True),
        sa.Column("passed_to", sa.Uuid(), nullable=True),
        sa.Column("next_check_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'met', 'passed')", name=op.f("ck_periods_state")),
        sa.CheckConstraint("(state = 'met') = (met_at IS NOT NULL)", name=op.f("ck_periods_met_at")),
        sa.CheckConstraint("(state = 'passed') = (passed_to IS NOT NULL)", name=op.f("ck_periods_passed_to")),
        sa.CheckConstraint("state = 'open' OR next_check_at IS NULL", name=op.f("ck_periods_closed_rests")),
        sa.CheckConstraint(
            "state <> 'open' OR next_check_at IS NOT NULL OR"
            " (alarmed_at IS NOT NULL AND (breach_at IS NULL OR breached_at IS NOT NULL))",
            name=op.f("ck_periods_open_is_watched"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_periods")),
        sa.UniqueConstraint("rule", "key", "agency_id", name=op.f("uq_periods_rule_key_agency_id")),
    )
    op.create_index("ix_periods_agency_id_due_at", "periods", ["agency_id", "due_at", "id"])
    op.create_index("ix_periods_due_at_id", "periods", ["due_at", "id"])
    op.create_index(
        "ix_periods_next_check_at",
        "periods",
        ["next_check_at"],
        sqlite_where=sa.text("next_check_at IS NOT NULL"),
        postgresql_where=sa.text("next_check_at IS NOT NULL"),
    )
    op.create_table(
        "period_watermarks",
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("until", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("rule", name=op.f("pk_period_watermarks")),
    )
    op.create_table(
        "period_returns",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=9), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("submitted_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_period_returns")),
        sa.UniqueConstraint("rule", "key", "agency_id", name=op.f("uq_period_returns_rule_key_agency_id")),
    )


def downgrade() -> None:
    for table in ("period_returns", "period_watermarks", "periods"):
        op.drop_table(table)
