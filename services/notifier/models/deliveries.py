"""Deliveries and all that proves them: attempts, notices, receipts."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlmodel.sql.sqltypes import UTCDateTime

from common.db import Json
from notifier.models.metadata import METADATA

SENDABLE = "state = 'waiting' AND endpoint_id IS NOT NULL"
"""Rows that a worker may claim. Query and index use this text, so that the index is always used."""

WATCHED = "state IN ('leased', 'transmitted') OR (state = 'waiting' AND endpoint_id IS NULL)"
"""Rows that the overdue scan looks at."""

CLIMBING = "climb_at IS NOT NULL AND state IN ('waiting', 'leased', 'transmitted', 'dead')"
"""Rows whose silence climbs; a dead one waits for a person as well."""

READABLE = "state IN ('waiting', 'leased', 'transmitted', 'dead') AND rung IN (0, 3)"
"""Rows that an agency finds in its inbox: nobody answered, and no further way of one that is there."""

ALARMED = (
    "escalation_level > 0 AND escalates_id IS NULL"
    " AND state IN ('waiting', 'leased', 'transmitted', 'dead', 'rejected')"
)
"""First ways with an open alarm; who refused leaves the child without help, so that is one, too."""

ESCALATED = "escalation_level > 0 AND escalates_id IS NULL"
"""First ways that raised an alarm once, open and past."""

TROUBLED = (
    "state IN ('dead', 'rejected') OR (state = 'waiting' AND reason NOT IN ('new', 'pull', 'redriven'))"
)
"""Rows that fail or need a person; the honest ones never enter its index."""

deliveries = Table(
    "deliveries",
    METADATA,
    Column("id", Uuid, primary_key=True),
    # Null for a test notice.
    Column("alert_id", Uuid, ForeignKey("alerts.id")),
    # Null while nobody holds the role.
    Column("agency_id", Uuid),
    Column("role", String(60), nullable=False),
    Column("bodies", Json, nullable=False),
    Column("notice_no", Integer, nullable=False),
    Column("rung", Integer, nullable=False, default=0),
    Column("generation", Integer, nullable=False, default=1),
    Column("state", String(12), nullable=False),
    Column("reason", String(40)),
    Column("urgency", SmallInteger, nullable=False),
    Column("deadline_at", UTCDateTime),
    Column("planned_at", UTCDateTime, nullable=False),
    Column("next_wakeup_at", UTCDateTime),
    Column("attempt_no", Integer, nullable=False, default=0),
    # Fence: a result counts only while its token stands here.
    Column("claim_token", Uuid),
    # Since when an open breaker holds it back; the next claim clears it.
    Column("held_at", UTCDateTime),
    Column("endpoint_id", Uuid),
    Column("endpoint_version", Integer),
    Column("transmitted_at", UTCDateTime),
    # Until then another reader of the same agency's inbox works on it.
    Column("pulled_until", UTCDateTime),
    # When its agency was first handed it over, and so its place among all that it was; no two have the same.
    Column("handed_at", UTCDateTime),
    Column("opened_at", UTCDateTime),
    Column("acknowledged_at", UTCDateTime),
    Column("escalation_level", Integer, nullable=False, default=0),
    # The first way whose silence this one answers; null for a first way itself.
    Column("escalates_id", Uuid),
    # When the silence began, and when it is looked at next, whatever sending waits for meanwhile.
    Column("silent_since", UTCDateTime),
    Column("climb_at", UTCDateTime),
    # What became of the alert, where the notice tells that; one notice an agency and change.
    Column("change_id", Uuid),
    Column("is_test", Boolean, nullable=False, default=False),
    Column("traceparent", String(55)),
    UniqueConstraint("alert_id", "agency_id", "notice_no", "rung"),
    # A row cannot even name another agency's endpoint.
    ForeignKeyConstraint(
        ["agency_id", "endpoint_id", "endpoint_version"],
        ["endpoint_versions.agency_id", "endpoint_versions.endpoint_id", "endpoint_versions.version"],
        name="fk_deliveries_endpoint_endpoint_versions",
    ),
    CheckConstraint(
        "state IN ('waiting', 'leased', 'transmitted', 'acknowledged', 'rejected', 'dead', 'cancelled',"
        " 'superseded')",
        name="state",
    ),
    CheckConstraint(
        "state IN ('acknowledged', 'rejected', 'dead', 'cancelled', 'superseded')"
        " OR next_wakeup_at IS NOT NULL",
        name="cannot_be_forgotten",
    ),
    CheckConstraint("(state = 'leased') = (claim_token IS NOT NULL)", name="leased_has_token"),
    CheckConstraint("(state = 'waiting') = (reason IS NOT NULL)", name="waiting_has_reason"),
    CheckConstraint("state <> 'transmitted' OR transmitted_at IS NOT NULL", name="transmitted_at"),
    CheckConstraint("state <> 'leased' OR agency_id IS NOT NULL", name="leased_has_agency"),
    CheckConstraint(
        "silent_since IS NULL OR climb_at IS NOT NULL"
        " OR state IN ('acknowledged', 'rejected', 'cancelled', 'superseded')",
        name="silence_climbs",
    ),
    CheckConstraint("is_test = (alert_id IS NULL)", name="only_tests_without_alert"),
    postgresql_with={"fillfactor": "70"},
)
Index("ix_deliveries_alert_id", deliveries.c.alert_id)
Index(
    "uq_deliveries_change_id_agency_id",
    deliveries.c.change_id,
    deliveries.c.agency_id,
    unique=True,
    sqlite_where=text("change_id IS NOT NULL AND rung = 0"),
    postgresql_where=text("change_id IS NOT NULL AND rung = 0"),
)
Index("ix_deliveries_planned_at_id", deliveries.c.planned_at, deliveries.c.id)
Index("ix_deliveries_agency_id_planned_at", deliveries.c.agency_id, deliveries.c.planned_at)
Index(
    "ix_deliveries_readable",
    deliveries.c.agency_id,
    deliveries.c.handed_at,
    sqlite_where=text(READABLE),
    postgresql_where=text(READABLE),
)
Index(
    "ix_deliveries_sendable",
    deliveries.c.urgency,
    deliveries.c.next_wakeup_at,
    sqlite_where=text(SENDABLE),
    postgresql_where=text(SENDABLE),
)
Index(
    "ix_deliveries_watched",
    deliveries.c.next_wakeup_at,
    sqlite_where=text(WATCHED),
    postgresql_where=text(WATCHED),
)
Index(
    "ix_deliveries_endpoint_id_waiting",
    deliveries.c.endpoint_id,
    sqlite_where=text(SENDABLE),
    postgresql_where=text(SENDABLE),
)

Index(
    "ix_deliveries_climb_at",
    deliveries.c.climb_at,
    sqlite_where=text(CLIMBING),
    postgresql_where=text(CLIMBING),
)
Index(
    "ix_deliveries_alarmed",
    deliveries.c.silent_since,
    deliveries.c.id,
    sqlite_where=text(ALARMED),
    postgresql_where=text(ALARMED),
)
Index(
    "ix_deliveries_escalated",
    deliveries.c.silent_since,
    deliveries.c.id,
    sqlite_where=text(ESCALATED),
    postgresql_where=text(ESCALATED),
)
Index(
    "ix_deliveries_escalates_id",
    deliveries.c.escalates_id,
    sqlite_where=text("escalates_id IS NOT NULL"),
    postgresql_where=text("escalates_id IS NOT NULL"),
)
Index(
    "ix_deliveries_troubled",
    deliveries.c.urgency,
    deliveries.c.id,
    sqlite_where=text(TROUBLED),
    postgresql_where=text(TROUBLED),
)

inbox_places = Table(
    "inbox_places",
    METADATA,
    Column("agency_id", Uuid, primary_key=True),
    # The latest that was given out.
    Column("last_at", UTCDateTime, nullable=False),
)

attempts = Table(
    "attempts",
    METADATA,
    Column("delivery_id", Uuid, ForeignKey("deliveries.id"), primary_key=True),
    Column("no", Integer, primary_key=True),
    Column("claim_token", Uuid, nullable=False),
    Column("endpoint_id", Uuid),
    Column("endpoint_version", Integer),
    Column("started_at", UTCDateTime, nullable=False),
    Column("ended_at", UTCDateTime),
    # Null while the attempt is under way: the row is there before any byte is sent.
    Column("outcome", String(20)),
    Column("status", SmallInteger),
    CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name="ended_with_outcome"),
)

notices = Table(
    "notices",
    METADATA,
    Column("delivery_id", Uuid, ForeignKey("deliveries.id"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("rendered_at", UTCDateTime, nullable=False),
)

receipts = Table(
    "receipts",
    METADATA,
    Column("delivery_id", Uuid, ForeignKey("deliveries.id"), primary_key=True),
    Column("agency_id", Uuid, nullable=False),
    Column("status", String(8), nullable=False),
    Column("at", UTCDateTime, nullable=False),
    Column("received_at", UTCDateTime, nullable=False),
    Column("is_signed", Boolean, nullable=False),
    # Phone and paper were entered by two persons, who are named in the sealed answer.
    Column("means", String(6), nullable=False, server_default="system"),
    # The whole answer as it is given back: it names a person.
    Column("sealed", LargeBinary, nullable=False),
    CheckConstraint("status IN ('received', 'accepted', 'rejected')", name="status"),
    CheckConstraint("means IN ('system', 'phone', 'paper')", name="means"),
)

read_outs = Table(
    "read_outs",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("delivery_id", Uuid, ForeignKey("deliveries.id"), nullable=False, index=True),
    # The hub that read, and the subject of the token of whoever read for it.
    Column("by_agency_id", Uuid, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", UTCDateTime, nullable=False),
    # Who listened: it names a person.
    Column("sealed", LargeBinary, nullable=False),
)

redrives = Table(
    "redrives",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("proposal_id", Uuid, nullable=False, unique=True),
    # Codes, ids and times only: which deliveries two persons agreed to send again.
    Column("selection", Json, nullable=False),
    Column("proposed_by", String(200), nullable=False),
    Column("confirmed_by", String(200), nullable=False),
    Column("started_at", UTCDateTime, nullable=False),
    Column("finished_at", UTCDateTime),
    Column("total", Integer, nullable=False),
    Column("redriven", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    # The last delivery that was looked at: urgency, then id.
    Column("after_urgency", SmallInteger),
    Column("after_id", Uuid),
)
