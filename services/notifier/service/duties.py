"""Facts of other services that meet duties, and what a preview says."""

from collections import defaultdict
from datetime import datetime
from uuid import UUID

from common.contracts.casework import CaseManagerAppointed
from common.contracts.notifier import ObligationMet
from common.db import Session
from common.outbox import add as publish
from notifier.repository import obligations as obligation_rows
from notifier.repository.records import act, add_acts

APPOINTMENT = "R136-12.2"
"""Joint order ¶12(2): a case manager is appointed within one working day."""


async def meet_by_appointment(session: Session, event: CaseManagerAppointed, *, now: datetime) -> None:
    """A case manager was appointed: meet the duty for every alert of the case."""
    met = await obligation_rows.meet_rule(
        session, event.alert_ids, APPOINTMENT, met_at=event.appointed_at, evidence_id=event.evidence_id
    )
    by_alert: dict[UUID, list[UUID]] = defaultdict(list)
    for obligation_id, alert_id in met:
        by_alert[alert_id].append(obligation_id)
    for alert_id, obligations in by_alert.items():
        told = ObligationMet(alert_id=alert_id, obligations=tuple(obligations), met_at=event.appointed_at)
        await publish(session, told, subject=alert_id, now=lambda: now)
    await add_acts(
        session,
        [
            act("duty.met", at=now, actor="casework", alert_id=alert_id, subject_id=obligation_id)
            for obligation_id, alert_id in met
        ],
    )
