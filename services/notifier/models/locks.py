"""Who kept an alert from the parents, and who let it go to them; the last row of an alert is in force."""

from sqlalchemy import Boolean, Column, Index, LargeBinary, Table, Uuid
from sqlmodel.sql.sqltypes import UTCDateTime

from notifier.models.metadata import METADATA

parent_locks = Table(
    "parent_locks",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("alert_id", Uuid, nullable=False),
    Column("locked", Boolean, nullable=False),
    Column("at", UTCDateTime, nullable=False),
    # Somebody's words: sealed.
    Column("reason", LargeBinary, nullable=False),
)
Index("ix_parent_locks_alert_id", parent_locks.c.alert_id)
