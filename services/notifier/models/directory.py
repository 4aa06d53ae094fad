"""Our own copy of the registry, kept by events and rebuilt from a snapshot, and the endpoints' keys."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Uuid,
    text,
)
from sqlmodel.sql.sqltypes import UTCDateTime

from common.db import Json
from notifier.models.metadata import METADATA

agencies = Table(
    "agencies",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("code", String(120), nullable=False),
    Column("name_kk", String(300), nullable=False),
    Column("name_ru", String(300), nullable=False),
    Column("name_en", String(300), nullable=False),
    Column("superior_id", Uuid),
    Column("retired_at", UTCDateTime),
    # Who takes its place, where the register names one; and when what it left is looked at next.
    Column("successor_id", Uuid),
    Column("look_at", UTCDateTime),
)
Index(
    "ix_agencies_look_at",
    agencies.c.look_at,
    sqlite_where=text("look_at IS NOT NULL"),
    postgresql_where=text("look_at IS NOT NULL"),
)

mandates = Table(
    "mandates",
    METADATA,
    Column("agency_id", Uuid, ForeignKey("agencies.id"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("role", String(60), nullable=False),
    Column("territory", String(9), nullable=False),
    Column("valid_from", UTCDateTime, nullable=False),
    Column("valid_until", UTCDateTime),
    Column("is_primary", Boolean, nullable=False),
)
Index("ix_mandates_territory_role", mandates.c.territory, mandates.c.role)

absences = Table(
    "absences",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("role", String(60), nullable=False),
    Column("territory", String(9), nullable=False),
    Column("valid_from", UTCDateTime, nullable=False),
    Column("valid_until", UTCDateTime),
)

endpoints = Table(
    "endpoints",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("agency_id", Uuid, nullable=False),
    # The version in force; a revocation counts as one.
    Column("version", Integer, nullable=False),
    Column("revoked_at", UTCDateTime),
    # Nothing is pushed there meanwhile; what waits, waits blocked.
    Column("paused_at", UTCDateTime),
)
Index("ix_endpoints_agency_id", endpoints.c.agency_id)

endpoint_versions = Table(
    "endpoint_versions",
    METADATA,
    Column("agency_id", Uuid, primary_key=True),
    Column("endpoint_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("url", String(2048), nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("receipt_key", String(64)),
    # When we heard of it: a key that this version replaced is believed for a while from then on.
    Column("taken_at", UTCDateTime),
    # Step of the agency's ladder, and when somebody answers there; null is always.
    Column("rung", SmallInteger, nullable=False, server_default=text("0")),
    Column("hours", Json),
)

endpoint_keys = Table(
    "endpoint_keys",
    METADATA,
    Column("endpoint_id", Uuid, primary_key=True),
    Column("no", Integer, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    # An older key signs beside the new one until then, so that the agency can change over.
    Column("retires_at", UTCDateTime),
)
