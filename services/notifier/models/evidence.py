"""What obliged bodies state of their own acts."""

from sqlalchemy import Column, ForeignKey, LargeBinary, String, Table, Uuid
from sqlmodel.sql.sqltypes import UTCDateTime

from notifier.models.metadata import METADATA

evidence = Table(
    "evidence",
    METADATA,
    Column("id", Uuid, primary_key=True),
    # One statement a duty: the unique key decides between two that contradict each other.
    Column("obligation_id", Uuid, ForeignKey("obligations.id"), nullable=False, unique=True),
    Column("code", String(60), nullable=False),
    Column("happened_at", UTCDateTime, nullable=False),
    Column("agency_id", Uuid, nullable=False),
    Column("stated_by", String(200), nullable=False),
    Column("stated_at", UTCDateTime, nullable=False),
    # Where the body keeps its proof: people may write more there than an id.
    Column("sealed", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)
