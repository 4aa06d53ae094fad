"""What a publisher remembers of events that a reader never took, in tables: it outlives a restart."""

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, Uuid
from sqlmodel.sql.sqltypes import UTCDateTime

MISSING = Table(
    "outbox_missing",
    MetaData(),
    Column("event_id", Uuid, primary_key=True),
    Column("reader", String(40), primary_key=True),
    Column("found_at", UTCDateTime, nullable=False),
    # So often it was sent again; and when it goes the next time.
    Column("times", Integer, nullable=False, default=0),
    Column("again_at", UTCDateTime, nullable=False),
)
"""Events that a reader was asked about and did not have. A row goes when the reader took it."""
Index("ix_outbox_missing_again_at", MISSING.c.again_at)

COMPARED = Table(
    "outbox_compared",
    MetaData(),
    Column("reader", String(40), primary_key=True),
    Column("until", UTCDateTime, nullable=False),
)
"""How far a reader was asked: about everything that left the outbox until then."""
