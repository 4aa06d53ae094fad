"""public reports: receipt codes and the flood guard's traces"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0004_pre_public_reports"
down_revision = "0003_pre_denials"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "receipt_codes",
        sa.Column("token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_receipt_codes")),
    )
    op.create_table(
        "report_traces",
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.LargeBinary(length=16), nullable=False),
        sa.Column("words", sa.LargeBinary(length=16), nullable=False),
        sa.Column("received_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_report_traces")),
    )
    with op.batch_alter_table("report_traces", schema=None) as batch_op:
        batch_op.create_index("ix_report_traces_received_at", ["received_at"], unique=False)
        batch_op.create_index("ix_report_traces_source_received_at", ["source", "received_at"], unique=False)
        batch_op.create_index("ix_report_traces_words_received_at", ["words", "received_at"], unique=False)


def downgrade() -> None:
    op.drop_table("report_traces")
    op.drop_table("receipt_codes")
