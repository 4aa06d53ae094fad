"""The overdue scan: every row whose wake-up time passed is looked at alike, whatever it waits for."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from common.contracts.notifier import EscalationRaised
from common.db import Session
from common.ids import new_id
from common.outbox import add as publish
from common.telemetry import log
from notifier.domain.delivery import OPEN, Fact, Outcome, Reason, State, step
from notifier.domain.schedule import next_alarm
from notifier.repository import claims
from notifier.repository import deliveries as delivery_rows
from notifier.repository.claims import Overdue
from notifier.repository.records import act, add_acts, add_escalations
from notifier.service.desk import Desk
from notifier.service.routing import route_alert

ROWS = 200
SILENCE = "silence"
"""Reason of an alarm: nobody answered, fetched or could be reached in time."""


async def anything_overdue(session: Session, *, now: datetime) -> bool:
    """Whether any delivery is overdue."""
    return await claims.has_overdue(session, now=now)


async def look_at_overdue(session: Session, desk: Desk, *, now: datetime) -> int:
    """Reap leases that ran out, and raise the alarm for silence and missing routes.

    Returns:
        How many rows were looked at; as many as ``ROWS`` means that more may wait.
    """
    rows = await claims.lock_overdue(session, now=now, limit=ROWS)
    lost = [row for row in rows if row.state is State.LEASED]
    silent = [row for row in rows if row.state is not State.LEASED]
    await _reap(session, lost, now=now)
    found: set[UUID] = set()
    for alert_id in {row.alert_id for row in silent if row.reason is Reason.NO_ROUTE and row.alert_id}:
        found |= await route_alert(session, desk, alert_id, now=now)
    await raise_alarms(
        session, desk, [row for row in silent if row.delivery_id not in found], SILENCE, now=now
    )
    return len(rows)


async def _reap(session: Session, rows: Sequence[Overdue], *, now: datetime) -> None:
    """A worker died or stalled: nobody knows whether it was sent, so it is sent again under the same id."""
    for row in rows:
        await delivery_rows.close_attempt(
            session, row.delivery_id, row.attempt, Outcome.LEASE_EXPIRED, at=now
        )
        await delivery_rows.set_delivery(
            session,
            row.delivery_id,
            {
                "state": step(row.state, Fact.LEASE_EXPIRED),
                "reason": Reason.UNKNOWN_OUTCOME,
                "claim_token": None,
                "next_wakeup_at": now,
            },
        )
        log.warning("lease_expired", delivery_id=str(row.delivery_id), attempt=row.attempt)
    await add_acts(
        session,
        [
            act("lease.expired", at=now, alert_id=r.alert_id, subject_id=r.delivery_id, attempt=r.attempt)
            for r in rows
        ],
    )


async def raise_alarms(
    session: Session, desk: Desk, rows: Sequence[Overdue], reason: str, *, now: datetime
) -> None:
    """One level up for each, and the next alarm ahead: silence never ends by itself.

    What is still being sent keeps its own wake-up: an alarm must not hold up an attempt.
    """
    escalations: list[dict[str, Any]] = []
    for row in rows:
        if row.state not in OPEN and row.state is not State.DEAD:
            continue
        level = row.escalation_level + 1
        values: dict[str, Any] = {"escalation_level": level}
        if step(row.state, Fact.SILENT) is not None and not row.is_being_sent:
            values["next_wakeup_at"] = next_alarm(tier=desk.tiers[row.urgency], now=now)
        await delivery_rows.set_delivery(session, row.delivery_id, values)
        if row.alert_id is None:
            continue
        escalations.append(
            {
                "id": new_id(),
                "delivery_id": row.delivery_id,
                "alert_id": row.alert_id,
                "level": level,
                "reason": reason,
                "raised_at": now,
            }
        )
        event = EscalationRaised(
            delivery_id=row.delivery_id, alert_id=row.alert_id, level=level, raised_at=now
        )
        await publish(session, event, subject=row.alert_id, now=lambda: now)
        log.warning("escalation_raised", delivery_id=str(row.delivery_id), escalation_level=level)
    await add_escalations(session, escalations)
    await add_acts(
        session,
        [
            act(
                "escalation.raised",
                at=now,
                alert_id=each["alert_id"],
                subject_id=each["delivery_id"],
                level=each["level"],
            )
            for each in escalations
        ],
    )
