"""audit rows get a number, and seals over them

On PostgreSQL rows from before have none until a job gives it to them: nothing is written anew here, and
writers wait only for the index (a second for a million rows).
"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from common.db import Json

revision = "0026_pre_seals"
down_revision = "0025_pre_drills"
branch_labels = None
depends_on = None

_TRIGGER = """
CREATE TRIGGER audit_seq AFTER INSERT ON audit WHEN NEW.seq IS NULL BEGIN
  UPDATE audit SET seq = (SELECT coalesce(max(seq), 0) + 1 FROM audit) WHERE id = NEW.id;
END
"""


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if not is_sqlite:
        # Better no upgrade now than a queue of writers behind us.
        op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("audit", sa.Column("seq", sa.BigInteger()))
    if is_sqlite:
        op.execute("UPDATE audit SET seq = rowid")
        op.execute(_TRIGGER)
    else:
        op.execute("CREATE SEQUENCE audit_seq OWNED BY audit.seq")
        op.execute("ALTER TABLE audit ALTER seq SET DEFAULT nextval('audit_seq')")
    op.create_index("uq_audit_seq", "audit", ["seq"], unique=True)
    op.create_table(
        "audit_seals",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("holes", Json, nullable=False),
        sa.Column("late", Json, nullable=False),
        sa.Column("void", Json, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.String(64), nullable=False),
        sa.Column("edge", sa.Text(), nullable=False),
        sa.Column("marks", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("sealed_at", UTCDateTime(), nullable=False),
        sa.Column("signature", sa.String(88), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_seals")),
    )
    op.create_table(
        "audit_holes",
        sa.Column("first_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("noticed_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("first_seq", name=op.f("pk_audit_holes")),
    )
    op.create_index(op.f("ix_audit_holes_noticed_at"), "audit_holes", ["noticed_at"])


def downgrade() -> None:
    op.drop_table("audit_holes")
    op.drop_table("audit_seals")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER audit_seq")
    op.drop_index("uq_audit_seq", "audit")
    op.drop_column("audit", "seq")
