"""What stays on record: acts, alarms, and what should not have happened. Ids and codes only."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    Uuid,
)
from sqlmodel.sql.sqltypes import UTCDateTime

from common.db import Json
from notifier.models.metadata import METADATA

escalations = Table(
    "escalations",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("delivery_id", Uuid, ForeignKey("deliveries.id"), nullable=False),
    Column("alert_id", Uuid, nullable=False),
    Column("level", Integer, nullable=False),
    Column("reason", String(40), nullable=False),
    Column("raised_at", UTCDateTime, nullable=False),
    # Which rung was climbed, and the delivery that it is; an operator has none.
    Column("rung", SmallInteger),
    Column("climbed_id", Uuid),
    UniqueConstraint("delivery_id", "level"),
)
Index("ix_escalations_alert_id", escalations.c.alert_id)

audit = Table(
    "audit",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("at", UTCDateTime, nullable=False),
    Column("action", String(40), nullable=False),
    # A token's subject; the gateway takes as many letters.
    Column("actor", String(200), nullable=False),
    Column("alert_id", Uuid),
    Column("subject_id", Uuid),
    Column("detail", Json, nullable=False),
    # Given by the database when a row is written, whenever that is committed: by a sequence; on SQLite by a
    # trigger, which a migration that builds the table anew must make again. Empty: from before seals.
    Column("seq", BigInteger),
)
Index("uq_audit_seq", audit.c.seq, unique=True)
Index("ix_audit_alert_id", audit.c.alert_id)
Index("ix_audit_subject_id", audit.c.subject_id)

security_events = Table(
    "security_events",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("at", UTCDateTime, nullable=False),
    Column("kind", String(40), nullable=False),
    # A token's subject; the gateway takes as many letters.
    Column("actor", String(200), nullable=False),
    Column("agency_id", Uuid),
    Column("delivery_id", Uuid),
    Column("endpoint_id", Uuid),
)
