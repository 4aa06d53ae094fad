"""What time does to duties: notices leave by themselves, alarms at ``due_at``, breaches at ``breach_at``."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.contracts.notifier import ObligationBreached
from common.db import Session
from common.outbox import add as publish
from common.telemetry import log
from notifier.domain.planning import next_check
from notifier.repository import alerts as alert_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.among import ALL, Among
from notifier.repository.obligations import Row
from notifier.repository.overdue import lock_deliveries
from notifier.repository.records import act, add_acts
from notifier.service import breaches
from notifier.service.desk import Desk
from notifier.service.escalation import escalate
from notifier.service.routing import dispatch_duties

ROWS = 200
NOT_SENT = "not_sent"
"""Reason of an alarm: a notice did not get through in its time."""
HOLDER_NOT_TOLD = "holder_not_told"
"""Reason of an alarm: a duty's projected limit passed and its holder was not reached."""
SOON = timedelta(seconds=1)


async def find_due(session: Session, *, now: datetime, among: Among = ALL, limit: int = 1) -> list[UUID]:
    """Alerts of which a clock asks for something."""
    return await obligation_rows.find_due_alerts(session, now=now, among=among, limit=limit)


async def turn_clocks(session: Session, desk: Desk, *, now: datetime, among: Among = ALL) -> int:
    """Do for every duty what its clock asks for now.

    A breach is a fact beside the state: a duty met late was still breached. A pending duty alarms from
    its projected start and is never breached: its holder did not get the information.

    Returns:
        How many duties were looked at; as many as ``ROWS`` means that more may wait.
    """
    rows = await obligation_rows.lock_due_checks(session, now=now, limit=ROWS, among=among)
    leaving: dict[UUID, list[Row]] = defaultdict(list)
    broken: dict[UUID, list[Row]] = defaultdict(list)
    late: list[Row] = []
    acts: list[dict[str, Any]] = []
    for row in rows:
        changed: dict[str, Any] = {}
        if row.dispatch_at is not None and row.dispatch_at <= now:
            changed["dispatch_at"] = None
            if row.delivery_id is None:  # else it was released while its clock began
                leaving[row.alert_id].append(row)
        if row.alarmed_at is None and row.due_at is not None and row.due_at <= now:
            changed["alarmed_at"] = now
            late.append(row)
        if _is_breached(row, now):
            broken[row.alert_id].append(row)
            # The instant of the breach itself: noticing it later changes nothing in law.
            changed |= {"breached_at": row.breach_at, **breaches.marks(row)}
        changed["next_check_at"] = next_check(
            state=row.state,
            dispatch=None if "dispatch_at" in changed else row.dispatch_at,
            due_at=row.due_at,
            breach_at=row.breach_at,
            alarmed=row.alarmed_at is not None or "alarmed_at" in changed,
            breached=row.breached_at is not None or "breached_at" in changed,
        )
        await obligation_rows.set_obligation(session, row.id, changed)
    # In one order, so that two workers never wait for each other; the alarms below need theirs as well.
    for alert_id in sorted(leaving.keys() | broken.keys() | {row.alert_id for row in late}):
        await alert_rows.lock_alert(session, alert_id)
    for alert_id in sorted(leaving.keys() | broken.keys()):
        if leaving[alert_id]:
            await dispatch_duties(session, desk, alert_id, leaving[alert_id], now=now)
        await breaches.alarm_breaches(session, desk, alert_id, broken[alert_id], now=now)
    for alert_id, duties in broken.items():
        if not duties:
            continue
        event = ObligationBreached(
            alert_id=alert_id,
            obligations=tuple(row.id for row in duties),
            breached_at=max(row.breach_at for row in duties if row.breach_at is not None),
        )
        await publish(session, event, subject=alert_id, now=lambda: now)
        acts += [
            act("duty.breached", at=now, alert_id=alert_id, subject_id=row.id, rule=row.rule)
            for row in duties
        ]
    await add_acts(session, [*acts, *await _alarm(session, desk, late, now=now)])
    return len(rows)


async def _alarm(session: Session, desk: Desk, late: list[Row], *, now: datetime) -> list[dict[str, Any]]:
    """Raise the alarms of late duties; returns what goes on record of them."""
    acts = []
    missed = await _call(session, desk, late, now=now)
    for row in late:
        if row.id in missed:
            again = {"alarmed_at": None, "next_check_at": now + SOON}
            await obligation_rows.set_obligation(session, row.id, again)
            continue
        acts.append(act("duty.overdue", at=now, alert_id=row.alert_id, subject_id=row.id, rule=row.rule))
        log.warning("duty_overdue", alert_id=str(row.alert_id), obligation_id=str(row.id), rule=row.rule)
    return acts


async def _call(session: Session, desk: Desk, late: list[Row], *, now: datetime) -> set[UUID]:
    """A time target passed because somebody was not told: that is an alarm of the delivery that should have.

    For an open notice it is the delivery that carries it; for a pending duty, the one that should have
    reached its holder.

    Returns:
        Duties whose delivery somebody else holds at this moment. Deliveries are locked before duties, so it
        is not waited for: their alarm is raised at the next look, unless they are met by then.
    """
    reasons: dict[UUID, str] = {}
    concerned: dict[UUID, list[UUID]] = defaultdict(list)
    for row in late:
        if row.state == "pending":
            found = await obligation_rows.first_delivery_of(
                session, row.alert_id, row.obliged_agency_id, row.obliged
            )
            if found is not None:
                reasons.setdefault(found, HOLDER_NOT_TOLD)
                concerned[found].append(row.id)
        elif row.kind == "notice" and row.delivery_id is not None:
            reasons[row.delivery_id] = NOT_SENT
            concerned[row.delivery_id].append(row.id)
    silent = await lock_deliveries(session, set(reasons))
    for reason in (NOT_SENT, HOLDER_NOT_TOLD):
        await escalate(
            session,
            desk,
            [one for one in silent if reasons[one.delivery_id] == reason],
            reason,
            now=now,
            at_once=True,
        )
    seen = {one.delivery_id for one in silent}
    return {duty for delivery_id, duties in concerned.items() if delivery_id not in seen for duty in duties}


def _is_breached(row: Row, now: datetime) -> bool:
    return (
        row.state == "open" and row.breached_at is None and row.breach_at is not None and row.breach_at <= now
    )
