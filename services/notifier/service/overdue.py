"""The overdue scan: every row whose wake-up time passed is looked at alike, whatever it waits for."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from common.db import Session
from common.telemetry import log
from notifier.domain.delivery import Fact, Outcome, Reason, State, step
from notifier.repository import deliveries as delivery_rows
from notifier.repository import overdue as overdue_rows
from notifier.repository.among import ALL, Among
from notifier.repository.overdue import Overdue
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
from notifier.service.escalation import SILENCE, escalate
from notifier.service.routing import find_ways, route_alert

ROWS = 200
REST = timedelta(days=1)


async def find_overdue(session: Session, *, now: datetime, among: Among = ALL, limit: int = 1) -> list[UUID]:
    """Deliveries that are overdue."""
    return await overdue_rows.find_overdue(session, now=now, among=among, limit=limit)


async def look_at_overdue(session: Session, desk: Desk, *, now: datetime, among: Among = ALL) -> int:
    """Reap leases that ran out, look again for ways and routes, and raise the alarm for silence.

    Returns:
        How many rows were looked at; as many as ``ROWS`` means that more may wait.
    """
    rows = await overdue_rows.lock_overdue(session, now=now, limit=ROWS, among=among)
    await _end_tests(session, [row for row in rows if row.is_test], now=now)
    lost = [row for row in rows if row.state is State.LEASED and not row.is_test]
    silent = [row for row in rows if row.state is not State.LEASED and not row.is_test]
    await _reap(session, lost, now=now)
    silent = await find_ways(session, desk, silent, now=now)
    found: set[UUID] = set()
    for alert_id in {row.alert_id for row in silent if row.reason is Reason.NO_ROUTE and row.alert_id}:
        found |= await route_alert(session, desk, alert_id, now=now)
    await escalate(session, desk, [row for row in silent if row.delivery_id not in found], SILENCE, now=now)
    for row in silent:
        if row.escalates_id is not None and not row.is_being_sent:
            # Its first way climbs, or is answered: nothing is to be done for a rung by itself.
            await delivery_rows.set_delivery(session, row.delivery_id, {"next_wakeup_at": now + REST})
    return len(rows)


async def _end_tests(session: Session, rows: Sequence[Overdue], *, now: datetime) -> None:
    """Whoever sent a test notice died before its end, or its agency fetched it from the inbox.

    One attempt is all that a test is: nobody waits for an answer to it, and it is not sent again.
    """
    acts = []
    for row in rows:
        if row.state is State.LEASED:
            await delivery_rows.close_attempt(
                session, row.delivery_id, row.attempt, Outcome.LEASE_EXPIRED, at=now
            )
        ends = State.ACKNOWLEDGED if row.state is State.TRANSMITTED else State.DEAD
        values = {"state": ends, "reason": None, "claim_token": None, "next_wakeup_at": None}
        await delivery_rows.set_delivery(session, row.delivery_id, values)
        acts.append(act("test.ended", at=now, subject_id=row.delivery_id, state=ends.value))
        log.info("test_ended", delivery_id=str(row.delivery_id), delivery_state=ends.value)
    await add_acts(session, acts)


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
