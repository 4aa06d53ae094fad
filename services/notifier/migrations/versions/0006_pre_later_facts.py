"""later facts: what happened after the alert, and since when a duty counts it"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0006_pre_later_facts"
down_revision = "0005_pre_exclusions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "later_facts",
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("happened_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("body", sa.String(length=60), nullable=True),
        sa.Column("agency_id", sa.Uuid(), nullable=True),
        sa.Column("replaces", sa.Uuid(), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("recorded_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("applied_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("alert_id", "evidence_id", "code", name=op.f("pk_later_facts")),
    )
    with op.batch_alter_table("later_facts", schema=None) as batch_op:
        batch_op.create_index(
            "ix_later_facts_unapplied",
            ["recorded_at"],
            unique=False,
            sqlite_where=sa.text("applied_at IS NULL"),
            postgresql_where=sa.text("applied_at IS NULL"),
        )
    with op.batch_alter_table("obligations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("since", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.create_index(
            "uq_obligations_towards_nobody",
            ["alert_id", "rule", "obliged"],
            unique=True,
            sqlite_where=sa.text("recipient IS NULL"),
            postgresql_where=sa.text("recipient IS NULL"),
        )


def downgrade() -> None:
    with op.batch_alter_table("obligations", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_obligations_towards_nobody",
            sqlite_where=sa.text("recipient IS NULL"),
            postgresql_where=sa.text("recipient IS NULL"),
        )
        batch_op.drop_column("since")
    op.drop_table("later_facts")
