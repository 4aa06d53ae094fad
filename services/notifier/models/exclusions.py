"""Who is shut out of which alert."""

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, String, Table, UniqueConstraint, Uuid
from sqlmodel.sql.sqltypes import UTCDateTime

from common.db import Json
from notifier.models.metadata import METADATA

exclusions = Table(
    "exclusions",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("alert_id", Uuid, nullable=False),
    # ``agency:…`` or ``role:…``: the same exclusion is there once.
    Column("mark", String(80), nullable=False),
    Column("agency_id", Uuid),
    Column("role", String(60)),
    Column("territory", String(9)),
    Column("state", String(8), nullable=False),
    Column("since", UTCDateTime, nullable=False),
    # When it was raised for the first time: what was published goes by that. Null in rows older than it.
    Column("first_since", UTCDateTime),
    Column("raised_by", String(60), nullable=False),
    Column("lifted_at", UTCDateTime),
    # Somebody's words: sealed.
    Column("reason", LargeBinary),
    # What those who are shut out had in hand already: ids, role codes, times.
    Column("known", Json, nullable=False),
    UniqueConstraint("alert_id", "mark"),
    CheckConstraint("state IN ('in_force', 'lifted')", name="state"),
    CheckConstraint("(state = 'lifted') = (lifted_at IS NOT NULL)", name="lifted_at"),
    CheckConstraint("(agency_id IS NULL) = (role IS NOT NULL)", name="agency_or_role"),
)
Index("ix_exclusions_agency_id", exclusions.c.agency_id)
