"""What passed from a retired body to another, alert by alert."""

from sqlalchemy import Column, ForeignKey, String, Table, Uuid
from sqlmodel.sql.sqltypes import UTCDateTime

from notifier.models.metadata import METADATA

successions = Table(
    "successions",
    METADATA,
    Column("alert_id", Uuid, ForeignKey("alerts.id"), primary_key=True),
    Column("former_id", Uuid, primary_key=True),
    # Under which role of the law; a body can have several.
    Column("role", String(60), primary_key=True),
    Column("successor_id", Uuid, nullable=False),
    Column("passed_at", UTCDateTime, nullable=False),
)
