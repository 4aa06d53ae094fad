"""changes: what became of an alert after it was told, and every version of its facts"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0011_pre_changes"
down_revision = "0010_pre_taken_at"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql")


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=9), nullable=False),
        sa.Column("no", sa.Integer(), nullable=False),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("recorded_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("applied_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("facts", JSON, nullable=True),
        sa.Column("routing", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('corrected', 'withdrawn', 'unfounded', 'rerated')", name=op.f("ck_changes_kind")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
        sa.UniqueConstraint("alert_id", "kind", "no", name=op.f("uq_changes_alert_id_kind_no")),
    )
    with op.batch_alter_table("changes", schema=None) as batch_op:
        batch_op.create_index(
            "ix_changes_waiting",
            ["recorded_at"],
            unique=False,
            sqlite_where=sa.text("applied_at IS NULL"),
            postgresql_where=sa.text("applied_at IS NULL"),
        )
    op.create_table(
        "fact_versions",
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("no", sa.Integer(), nullable=False),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("learned_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("change_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("alert_id", "no", name=op.f("pk_fact_versions")),
    )
    # Columns alone are added and dropped in place: rebuilding a table on SQLite would lose its checks.
    op.add_column("deliveries", sa.Column("change_id", sa.Uuid(), nullable=True))
    op.create_index(
        "uq_deliveries_change_id_agency_id",
        "deliveries",
        ["change_id", "agency_id"],
        unique=True,
        sqlite_where=sa.text("change_id IS NOT NULL AND rung = 0"),
        postgresql_where=sa.text("change_id IS NOT NULL AND rung = 0"),
    )
    op.add_column(
        "obligations", sa.Column("overtaken_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True)
    )


def downgrade() -> None:
    op.drop_column("obligations", "overtaken_at")
    op.drop_index("uq_deliveries_change_id_agency_id", "deliveries")
    op.drop_column("deliveries", "change_id")
    op.drop_table("fact_versions")
    op.drop_table("changes")
