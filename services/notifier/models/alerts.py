"""Alerts as the ledger knows them, the ids others know them by, and what the law makes of them."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    false,
    text,
)
from sqlmodel.sql.sqltypes import UTCDateTime

from common.db import Json
from notifier.models.metadata import METADATA

alerts = Table(
    "alerts",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("number", String(20), nullable=False),
    Column("received_at", UTCDateTime, nullable=False),
    Column("planned_at", UTCDateTime, nullable=False),
    Column("territory", String(9), nullable=False),
    # Codes only (concerns, flags, reporter's role): what the clocks were computed from.
    Column("facts", Json, nullable=False),
    Column("edition", String(200), nullable=False),
    Column("urgency", String(9), nullable=False),
    # The reporter's and the implicated agencies' ids, as they came: sealed for this service.
    Column("routing", LargeBinary, nullable=False),
    Column("advisories", Json, nullable=False),
    Column("withheld", Json, nullable=False),
    # Why somebody must look: the law lays no duty on anybody for this alert.
    Column("needs_a_person", String(40)),
    Column("traceparent", String(55)),
    # A public report waits for the hub: why, until when (null: for a person), and who let it go.
    Column("hold", String(7)),
    Column("held_until", UTCDateTime),
    Column("released_at", UTCDateTime),
    Column("released_by", String(200)),
    CheckConstraint("hold IN ('hub', 'cluster')", name="hold"),
    CheckConstraint("(released_at IS NULL) = (released_by IS NULL)", name="released_by"),
)
Index("ix_alerts_received_at_id", alerts.c.received_at, alerts.c.id)

alert_handles = Table(
    "alert_handles",
    METADATA,
    Column("handle", Uuid, primary_key=True),
    Column("alert_id", Uuid, ForeignKey("alerts.id"), nullable=False),
    Column("agency_id", Uuid, nullable=False),
    Column("is_reporter", String(1), nullable=False),
    Column("received_at", UTCDateTime, nullable=False),
    UniqueConstraint("alert_id", "agency_id"),
    CheckConstraint("is_reporter IN ('y', 'n')", name="is_reporter"),
)
Index("ix_alert_handles_agency_id_received_at", alert_handles.c.agency_id, alert_handles.c.received_at)

obligations = Table(
    "obligations",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("alert_id", Uuid, ForeignKey("alerts.id"), nullable=False),
    Column("rule", String(40), nullable=False),
    Column("kind", String(6), nullable=False),
    Column("force", String(20), nullable=False),
    Column("edition", String(200), nullable=False),
    Column("citation", Json, nullable=False),
    Column("duty", Json, nullable=False),
    Column("obliged", String(60), nullable=False),
    Column("obliged_agency_id", Uuid),
    Column("recipient", String(60)),
    Column("recipient_agency_id", Uuid),
    Column("delivery_id", Uuid),
    Column("state", String(9), nullable=False),
    Column("starts_at", UTCDateTime, nullable=False),
    Column("due_at", UTCDateTime),
    Column("breach_at", UTCDateTime),
    # When an unreleased notice goes out by itself; null when it left at planning or is no notice.
    Column("dispatch_at", UTCDateTime),
    Column("met_at", UTCDateTime),
    Column("alarmed_at", UTCDateTime),
    Column("breached_at", UTCDateTime),
    # Whose breach it is and why, as it was when the limit passed.
    Column("breach_owner_id", Uuid),
    Column("breach_reason", String(8)),
    # The alarm that its breach raised; several acts of one body at one moment share it.
    Column("breach_id", Uuid),
    Column("evidence_id", Uuid),
    # Since when the law no longer asks for it on what is known; it stands all the same.
    Column("overtaken_at", UTCDateTime),
    # For a duty that was opened after the alert: only what happened from then on meets it.
    Column("since", UTCDateTime),
    # Set when the obliged body let its notice go; null when it left by itself.
    Column("released_at", UTCDateTime),
    Column("released_by", String(200)),
    Column("waived_at", UTCDateTime),
    # Its notice waits with the whole report for the hub.
    Column("is_held", Boolean, nullable=False, default=False, server_default=false()),
    # The next moment at which the clocks have something to do with this row.
    Column("next_check_at", UTCDateTime),
    UniqueConstraint("alert_id", "rule", "obliged", "recipient"),
    CheckConstraint("state IN ('pending', 'open', 'met', 'waived', 'cancelled')", name="state"),
    CheckConstraint("state <> 'met' OR met_at IS NOT NULL", name="met_at"),
    CheckConstraint("(state = 'waived') = (waived_at IS NOT NULL)", name="waived_at"),
    CheckConstraint("(released_at IS NULL) = (released_by IS NULL)", name="released_by"),
    CheckConstraint("due_at IS NULL OR breach_at IS NULL OR due_at <= breach_at", name="due_before_breach"),
    CheckConstraint("state IN ('pending', 'open') OR next_check_at IS NULL", name="closed_rests"),
    # An open duty with a limit ahead cannot be forgotten by the clocks.
    CheckConstraint(
        "state <> 'open' OR breach_at IS NULL OR breached_at IS NOT NULL OR next_check_at IS NOT NULL",
        name="open_is_watched",
    ),
)
Index("ix_obligations_alert_id", obligations.c.alert_id)
# The key above lets a duty towards nobody stand twice: NULL equals nothing.
Index(
    "uq_obligations_towards_nobody",
    obligations.c.alert_id,
    obligations.c.rule,
    obligations.c.obliged,
    unique=True,
    sqlite_where=text("recipient IS NULL"),
    postgresql_where=text("recipient IS NULL"),
)
Index("ix_obligations_delivery_id", obligations.c.delivery_id)
Index(
    "ix_obligations_breach_id",
    obligations.c.breach_id,
    sqlite_where=text("breach_id IS NOT NULL"),
    postgresql_where=text("breach_id IS NOT NULL"),
)
Index(
    "ix_obligations_next_check_at",
    obligations.c.next_check_at,
    sqlite_where=text("next_check_at IS NOT NULL"),
    postgresql_where=text("next_check_at IS NOT NULL"),
)
