"""Duties that return: what each agency owes for each period, and what was handed in for it."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlmodel.sql.sqltypes import UTCDateTime

from notifier.models.metadata import METADATA

CHECKED = "next_check_at IS NOT NULL"

periods = Table(
    "periods",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("rule", String(40), nullable=False),
    Column("key", String(9), nullable=False),
    Column("edition", String(200), nullable=False),
    Column("agency_id", Uuid, nullable=False),
    # The body that owes it, and where the agency holds that role: its successor is looked for there.
    Column("role", String(60), nullable=False),
    Column("territory", String(9), nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("opens_at", UTCDateTime, nullable=False),
    Column("due_at", UTCDateTime, nullable=False),
    # Null for a reading that binds nobody.
    Column("breach_at", UTCDateTime),
    Column("is_provisional", Boolean, nullable=False),
    Column("state", String(6), nullable=False),
    Column("met_at", UTCDateTime),
    Column("return_id", Uuid),
    Column("alarmed_at", UTCDateTime),
    Column("breached_at", UTCDateTime),
    # Whose it was before, and whose it is after the mandate ended.
    Column("passed_from", Uuid),
    Column("passed_to", Uuid),
    Column("next_check_at", UTCDateTime),
    # The same period is never owed twice by one agency, however often it is opened.
    UniqueConstraint("rule", "key", "agency_id"),
    CheckConstraint("state IN ('open', 'met', 'passed')", name="state"),
    CheckConstraint("(state = 'met') = (met_at IS NOT NULL)", name="met_at"),
    CheckConstraint("(state = 'passed') = (passed_to IS NOT NULL)", name="passed_to"),
    CheckConstraint("state = 'open' OR next_check_at IS NULL", name="closed_rests"),
    CheckConstraint(
        "state <> 'open' OR next_check_at IS NOT NULL OR"
        " (alarmed_at IS NOT NULL AND (breach_at IS NULL OR breached_at IS NOT NULL))",
        name="open_is_watched",
    ),
)
Index("ix_periods_agency_id_due_at", periods.c.agency_id, periods.c.due_at, periods.c.id)
Index("ix_periods_due_at_id", periods.c.due_at, periods.c.id)
Index(
    "ix_periods_next_check_at",
    periods.c.next_check_at,
    sqlite_where=text(CHECKED),
    postgresql_where=text(CHECKED),
)

period_watermarks = Table(
    "period_watermarks",
    METADATA,
    Column("rule", String(40), primary_key=True),
    # Every period that opens until then was opened; null while nobody looked.
    Column("until", UTCDateTime),
)

period_returns = Table(
    "period_returns",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("rule", String(40), nullable=False),
    Column("key", String(9), nullable=False),
    Column("agency_id", Uuid, nullable=False),
    Column("submitted_at", UTCDateTime, nullable=False),
    UniqueConstraint("rule", "key", "agency_id"),
)
