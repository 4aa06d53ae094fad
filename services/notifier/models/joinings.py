"""Which alerts a person has found to be about one child, and which not; what is joined shares exclusions."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    Uuid,
)
from sqlmodel.sql.sqltypes import UTCDateTime

from notifier.models.metadata import METADATA

joinings = Table(
    "joinings",
    METADATA,
    Column("id", Uuid, primary_key=True),
    # The lesser id first: a pair is there once.
    Column("low_id", Uuid, nullable=False),
    Column("high_id", Uuid, nullable=False),
    Column("state", String(6), nullable=False),
    Column("agency_id", Uuid, nullable=False),
    Column("decided_at", UTCDateTime, nullable=False),
    UniqueConstraint("low_id", "high_id"),
    CheckConstraint("state IN ('joined', 'apart')", name="state"),
    CheckConstraint("low_id <> high_id", name="two_alerts"),
)
Index("ix_joinings_high_id", joinings.c.high_id)

# What follows from the pairs that are joined. An alert that stands alone has no row.
alert_groups = Table(
    "alert_groups",
    METADATA,
    Column("alert_id", Uuid, primary_key=True),
    # The alert whose case continues.
    Column("head_id", Uuid, nullable=False, index=True),
)

# One row: whoever joins, parts, raises, lowers or locks takes it first, before any other lock. Its number
# puts what the others are told in order.
turns = Table(
    "turns",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("no", BigInteger, nullable=False),
)
