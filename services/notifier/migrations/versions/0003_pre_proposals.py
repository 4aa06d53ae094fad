"""proposals: acts that wait for a second person; room for every subject of a token"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0003_pre_proposals"
down_revision = "0002_pre"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "proposals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=True),
        sa.Column("proposed_by", sa.String(length=200), nullable=False),
        sa.Column("proposed_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("expires_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("open_key", sa.LargeBinary(), nullable=True),
        sa.Column("confirmed_by", sa.String(length=200), nullable=True),
        sa.Column("confirmed_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.CheckConstraint("state IN ('proposed', 'confirmed', 'replaced')", name=op.f("ck_proposals_state")),
        sa.CheckConstraint(
            "(state = 'confirmed') = (confirmed_by IS NOT NULL)", name=op.f("ck_proposals_confirmed_by")
        ),
        sa.CheckConstraint(
            "(confirmed_by IS NULL) = (confirmed_at IS NULL)", name=op.f("ck_proposals_confirmed_at")
        ),
        sa.CheckConstraint(
            "confirmed_by IS NULL OR confirmed_by <> proposed_by", name=op.f("ck_proposals_two_persons")
        ),
        sa.CheckConstraint(
            "(state = 'proposed') = (open_key IS NOT NULL)", name=op.f("ck_proposals_open_key")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposals")),
        sa.UniqueConstraint("open_key", name=op.f("uq_proposals_open_key")),
    )
    with op.batch_alter_table("proposals", schema=None) as batch_op:
        batch_op.create_index(op.f("ix_proposals_subject_id"), ["subject_id"], unique=False)

    for table in ("audit", "security_events"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.alter_column("actor", type_=sa.String(length=200), existing_nullable=False)


def downgrade() -> None:
    for table in ("audit", "security_events"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.alter_column("actor", type_=sa.String(length=80), existing_nullable=False)
    op.drop_table("proposals")
