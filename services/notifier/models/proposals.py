"""Acts that wait for a second person."""

from sqlalchemy import CheckConstraint, Column, LargeBinary, String, Table, Uuid
from sqlmodel.sql.sqltypes import UTCDateTime

from notifier.models.metadata import METADATA

proposals = Table(
    "proposals",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("subject_id", Uuid, nullable=False, index=True),
    # Null for the platform's operators.
    Column("agency_id", Uuid),
    Column("proposed_by", String(200), nullable=False),
    Column("proposed_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    # Reason and payload: people write freely in both.
    Column("sealed", LargeBinary, nullable=False),
    # Keyed token of what was sealed: the same words twice are one proposal.
    Column("digest", LargeBinary, nullable=False),
    Column("state", String(9), nullable=False),
    # While it is proposed, one per person and thing; null ever after.
    Column("open_key", LargeBinary, unique=True),
    Column("confirmed_by", String(200)),
    Column("confirmed_at", UTCDateTime),
    CheckConstraint("state IN ('proposed', 'confirmed', 'replaced')", name="state"),
    CheckConstraint("(state = 'confirmed') = (confirmed_by IS NOT NULL)", name="confirmed_by"),
    CheckConstraint("(confirmed_by IS NULL) = (confirmed_at IS NULL)", name="confirmed_at"),
    # No door, however wrong, lets one person act alone.
    CheckConstraint("confirmed_by IS NULL OR confirmed_by <> proposed_by", name="two_persons"),
    CheckConstraint("(state = 'proposed') = (open_key IS NOT NULL)", name="open_key"),
)
