"""What happened after the alert, as those who signed it said; kept whether it changed a duty or not."""

from sqlalchemy import Column, Index, String, Table, Uuid, text
from sqlmodel.sql.sqltypes import UTCDateTime

from notifier.models.metadata import METADATA

UNAPPLIED = "applied_at IS NULL"
"""Facts that wait for their alert. Query and index use this text, so that the index is always used."""

later_facts = Table(
    "later_facts",
    METADATA,
    # No foreign key: a fact may come before its alert was planned.
    Column("alert_id", Uuid, primary_key=True),
    # Where the evidence lies: a record of casework or of the agency.
    Column("evidence_id", Uuid, primary_key=True),
    Column("code", String(60), primary_key=True),
    Column("happened_at", UTCDateTime, nullable=False),
    # Role of the body that it is about, where a rule asks for it.
    Column("body", String(60)),
    # Whose act it was; null when it speaks for the whole case.
    Column("agency_id", Uuid),
    # The evidence whose place it takes.
    Column("replaces", Uuid),
    Column("actor", String(200), nullable=False),
    Column("recorded_at", UTCDateTime, nullable=False),
    Column("applied_at", UTCDateTime),
)
Index(
    "ix_later_facts_unapplied",
    later_facts.c.recorded_at,
    sqlite_where=text(UNAPPLIED),
    postgresql_where=text(UNAPPLIED),
)
