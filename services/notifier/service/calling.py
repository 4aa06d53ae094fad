"""An alarm is written down, reported, and put on record; the operator can be called past every other rung."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from common.contracts.notifier import EscalationRaised
from common.db import Session
from common.ids import new_id
from common.outbox import add as publish
from common.telemetry import log
from notifier.domain.escalation import Rung
from notifier.repository import deliveries as delivery_rows
from notifier.repository import overdue as overdue_rows
from notifier.repository.records import act, add_acts, add_escalations


async def call_operator(session: Session, delivery_id: UUID, reason: str, *, now: datetime) -> None:
    """An alarm at the operator's rung, past all others: nobody of the agency will take this on."""
    for row in await overdue_rows.lock_deliveries(session, {delivery_id}):
        if row.alert_id is None:
            continue
        level = row.escalation_level + 1
        await delivery_rows.set_delivery(session, row.delivery_id, {"escalation_level": level})
        alarm = {
            "id": new_id(),
            "delivery_id": row.delivery_id,
            "alert_id": row.alert_id,
            "level": level,
            "reason": reason,
            "raised_at": now,
            "rung": Rung.OPERATOR.value,
            "climbed_id": None,
        }
        await raise_alarms(session, [alarm], now=now)


async def raise_alarms(session: Session, alarms: Sequence[Mapping[str, Any]], *, now: datetime) -> None:
    """Write alarms down and tell of them."""
    await add_escalations(session, alarms)
    for alarm in alarms:
        event = EscalationRaised(
            delivery_id=alarm["delivery_id"],
            alert_id=alarm["alert_id"],
            level=alarm["level"],
            rung=alarm["rung"],
            raised_at=now,
        )
        await publish(session, event, subject=alarm["alert_id"], now=lambda: now)
        log.warning(
            "escalation_raised",
            delivery_id=str(alarm["delivery_id"]),
            escalation_level=alarm["level"],
            rung=alarm["rung"],
            reason=alarm["reason"],
        )
    await add_acts(
        session,
        [
            act(
                "escalation.raised",
                at=now,
                alert_id=alarm["alert_id"],
                subject_id=alarm["delivery_id"],
                level=alarm["level"],
                rung=alarm["rung"],
                reason=alarm["reason"],
            )
            for alarm in alarms
        ],
    )
