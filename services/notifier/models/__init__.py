"""Tables of the notifier, one module per noun. Core tables: both hot paths write in bulk."""

from common.outbox import add_tables
from notifier.models.alerts import alert_handles, alerts, obligations
from notifier.models.breaches import breach_statements, breaches
from notifier.models.changes import changes, fact_versions
from notifier.models.deliveries import (
    attempts,
    deliveries,
    inbox_places,
    notices,
    read_outs,
    receipts,
    redrives,
)
from notifier.models.directory import (
    absences,
    agencies,
    endpoint_keys,
    endpoint_versions,
    endpoints,
    mandates,
)
from notifier.models.drills import drills
from notifier.models.evidence import evidence
from notifier.models.exclusions import exclusions
from notifier.models.facts import later_facts
from notifier.models.joinings import alert_groups, joinings, turns
from notifier.models.locks import parent_locks
from notifier.models.metadata import METADATA
from notifier.models.periods import period_returns, period_watermarks, periods
from notifier.models.proposals import proposals
from notifier.models.records import audit, escalations, security_events
from notifier.models.seals import audit_holes, audit_seals
from notifier.models.successions import successions

add_tables(METADATA)

__all__ = [
    "METADATA",
    "absences",
    "agencies",
    "alert_groups",
    "alert_handles",
    "alerts",
    "attempts",
    "audit",
    "audit_holes",
    "audit_seals",
    "breach_statements",
    "breaches",
    "changes",
    "deliveries",
    "drills",
    "endpoint_keys",
    "endpoint_versions",
    "endpoints",
    "escalations",
    "evidence",
    "exclusions",
    "fact_versions",
    "inbox_places",
    "joinings",
    "later_facts",
    "mandates",
    "notices",
    "obligations",
    "parent_locks",
    "period_returns",
    "period_watermarks",
    "periods",
    "proposals",
    "read_outs",
    "receipts",
    "redrives",
    "security_events",
    "successions",
    "turns",
]
