"""How each endpoint stood when it was last tried: one row an endpoint, its history is on record."""

from sqlalchemy import Column, Index, Integer, String, Table, Uuid, text
from sqlmodel.sql.sqltypes import UTCDateTime

from notifier.models.metadata import METADATA

drills = Table(
    "drills",
    METADATA,
    Column("endpoint_id", Uuid, primary_key=True),
    Column("since", UTCDateTime, nullable=False),
    # The last test by time; of several workers the first one to write it makes the test.
    Column("test_id", Uuid),
    Column("tested_at", UTCDateTime),
    # Null while the test is under way.
    Column("judged_at", UTCDateTime),
    Column("cause", String(20)),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    # Since when a person is to talk to the agency; null: there is nothing to talk about.
    Column("failing_since", UTCDateTime),
    # The last notice, of a test or an alert, that it took and answered as it must.
    Column("proven_at", UTCDateTime),
    Column("proof_id", Uuid),
)
Index("ix_drills_test_id", drills.c.test_id)
