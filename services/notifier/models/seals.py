"""The chain over the audit record: a row for each pass that sealed something."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text
from sqlmodel.sql.sqltypes import UTCDateTime

from common.db import Json
from notifier.models.metadata import METADATA

audit_seals = Table(
    "audit_seals",
    METADATA,
    # One more than the last: of two who seal at once, one has no place.
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("holes", Json, nullable=False),
    Column("late", Json, nullable=False),
    Column("void", Json, nullable=False),
    Column("count", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", String(64), nullable=False),
    Column("edge", Text, nullable=False),
    Column("marks", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("sealed_at", UTCDateTime, nullable=False),
    Column("signature", String(88), nullable=False),
)

audit_holes = Table(
    "audit_holes",
    METADATA,
    # Numbers from the first to the last are not there yet; what the seals say, at hand.
    Column("first_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("noticed_at", UTCDateTime, nullable=False),
)
Index("ix_audit_holes_noticed_at", audit_holes.c.noticed_at)
