"""Breached acts: the alarm that each raises, and what is said of the reason."""

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, String, Table, UniqueConstraint, Uuid
from sqlmodel.sql.sqltypes import UTCDateTime

from notifier.models.metadata import METADATA

breaches = Table(
    "breaches",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("alert_id", Uuid, ForeignKey("alerts.id"), nullable=False),
    # Whose acts they were when the limit passed; null where nobody held the role.
    Column("owner_id", Uuid),
    Column("role", String(60), nullable=False),
    Column("breached_at", UTCDateTime, nullable=False),
    Column("raised_at", UTCDateTime, nullable=False),
    # The body above and the notice to it; without one the operator is called.
    Column("superior_id", Uuid),
    Column("told_id", Uuid, ForeignKey("deliveries.id"), unique=True),
)
Index("ix_breaches_alert_id", breaches.c.alert_id)
Index("ix_breaches_breached_at_id", breaches.c.breached_at, breaches.c.id)

breach_statements = Table(
    "breach_statements",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("obligation_id", Uuid, ForeignKey("obligations.id"), nullable=False),
    Column("agency_id", Uuid, nullable=False),
    Column("stated_by", String(200), nullable=False),
    Column("stated_at", UTCDateTime, nullable=False),
    # What people write of a reason may name a child.
    Column("sealed", LargeBinary, nullable=False),
    # Keyed digest of the words: the same said twice is one statement.
    Column("token", LargeBinary, nullable=False),
    UniqueConstraint("obligation_id", "agency_id", "token"),
)
