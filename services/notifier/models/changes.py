"""What became of an alert after it was told: corrected, withdrawn, found to be unfounded, rated anew."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlmodel.sql.sqltypes import UTCDateTime

from common.db import Json
from notifier.models.metadata import METADATA

WAITING = "applied_at IS NULL"
"""Changes that wait for their alert. Query and index use this text, so that the index is always used."""

changes = Table(
    "changes",
    METADATA,
    Column("id", Uuid, primary_key=True),
    # No foreign key: intake may tell of a change before its alert was planned.
    Column("alert_id", Uuid, nullable=False),
    Column("kind", String(9), nullable=False),
    # Counts the changes of one kind of an alert; a correction's is the version of the record.
    Column("no", Integer, nullable=False),
    Column("at", UTCDateTime, nullable=False),
    Column("recorded_at", UTCDateTime, nullable=False),
    Column("applied_at", UTCDateTime),
    Column("actor", String(200), nullable=False),
    # Whose act it was: the reporter's is sealed elsewhere and not said here.
    Column("agency_id", Uuid),
    # Somebody's words.
    Column("sealed", LargeBinary),
    # Facts as a correction tells them, codes only.
    Column("facts", Json),
    # Agencies that decide who is told, sealed for this service.
    Column("routing", LargeBinary),
    UniqueConstraint("alert_id", "kind", "no"),
    CheckConstraint("kind IN ('corrected', 'withdrawn', 'unfounded', 'rerated')", name="kind"),
)
Index(
    "ix_changes_waiting",
    changes.c.recorded_at,
    sqlite_where=text(WAITING),
    postgresql_where=text(WAITING),
)

fact_versions = Table(
    "fact_versions",
    METADATA,
    Column("alert_id", Uuid, primary_key=True),
    # 1 is what the alert said; written with the first change, since most alerts never have one.
    Column("no", Integer, primary_key=True),
    Column("facts", Json, nullable=False),
    Column("learned_at", UTCDateTime, nullable=False),
    # Null for the first.
    Column("change_id", Uuid),
)
