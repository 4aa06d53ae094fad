"""Rows whose wake-up time passed: leases that ran out go back at once, silence climbs.

Two passes. What a dead worker held must not wait for alarms, which cost much more each.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from common.db import Session
from common.telemetry import log
from notifier.domain.delivery import Outcome, Reason, State
from notifier.domain.drill import NO_RECEIPT
from notifier.repository import deliveries as delivery_rows
from notifier.repository import drills as drill_rows
from notifier.repository import overdue as overdue_rows
from notifier.repository.among import ALL, Among
from notifier.repository.overdue import Overdue
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
from notifier.service.escalation import SILENCE, escalate
from notifier.service.proofs import fail
from notifier.service.routing import find_ways, route_alert

LEASES = 500
"""Reaped in one transaction: two statements, however many."""
ROWS = 25
"""Looked at in one transaction. Each takes its alert's lock and some statements, and whoever waits for one of
these rows (a result, a receipt) waits for all of them (measured: 200 on a busy machine took longer than the
ten seconds after which a lock is given up, and one pass undid the other for minutes)."""
REST = timedelta(days=1)


async def find_lost(session: Session, *, now: datetime, among: Among = ALL, limit: int = 1) -> list[UUID]:
    """Deliveries whose lease ran out."""
    return await overdue_rows.find_overdue(session, is_leased=True, now=now, among=among, limit=limit)


async def reap_leases(
    session: Session,
    desk: Desk,  # noqa: ARG001  # the signature of every pass
    *,
    now: datetime,
    among: Among = ALL,
) -> int:
    """A worker died or stalled: what it held is due again.

    Returns:
        How many rows were looked at; as many as ``LEASES`` means that more may wait.
    """
    rows = await overdue_rows.lock_overdue(session, is_leased=True, now=now, limit=LEASES, among=among)
    await _end_tests(session, [row for row in rows if row.is_test], now=now)
    await _reap(session, [row for row in rows if not row.is_test], now=now)
    return len(rows)


async def find_overdue(session: Session, *, now: datetime, among: Among = ALL, limit: int = 1) -> list[UUID]:
    """Deliveries that are overdue and in nobody's hand."""
    return await overdue_rows.find_overdue(session, is_leased=False, now=now, among=among, limit=limit)


async def look_at_overdue(session: Session, desk: Desk, *, now: datetime, among: Among = ALL) -> int:
    """Look again for ways and routes, and raise the alarm for silence.

    Returns:
        How many rows were looked at; as many as ``ROWS`` means that more may wait.
    """
    rows = await overdue_rows.lock_overdue(session, is_leased=False, now=now, limit=ROWS, among=among)
    await _end_tests(session, [row for row in rows if row.is_test], now=now)
    silent = await find_ways(session, desk, [row for row in rows if not row.is_test], now=now)
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
    """Whoever sent a test notice died before its end, its receipt did not come, or its agency fetched it.

    One attempt is all that a test is: it is not sent again.
    """
    acts = []
    for row in rows:
        ends, cause = State.DEAD, None
        if row.state is State.LEASED:
            cause = Outcome.LEASE_EXPIRED.value
            await delivery_rows.close_attempt(
                session, row.delivery_id, row.attempt, Outcome.LEASE_EXPIRED, at=now
            )
        elif row.state is State.TRANSMITTED:
            if Outcome.ACCEPTED in await drill_rows.outcomes_of(session, row.delivery_id):
                cause = NO_RECEIPT
            else:
                # Fetched: whether it could be sent is known already, or nobody will ever know.
                ends, cause = State.ACKNOWLEDGED, Outcome.LEASE_EXPIRED.value
        if cause is not None:
            await fail(session, row.delivery_id, cause, now=now)
        values = {"state": ends, "reason": None, "claim_token": None, "next_wakeup_at": None}
        await delivery_rows.set_delivery(session, row.delivery_id, values)
        acts.append(act("test.ended", at=now, subject_id=row.delivery_id, state=ends.value))
        log.info("test_ended", delivery_id=str(row.delivery_id), delivery_state=ends.value)
    await add_acts(session, acts)


async def _reap(session: Session, rows: Sequence[Overdue], *, now: datetime) -> None:
    """Nobody knows whether it was sent, so it is sent again under the same id."""
    await overdue_rows.give_back(session, rows, now=now)
    for row in rows:
        log.warning("lease_expired", delivery_id=str(row.delivery_id), attempt=row.attempt)
    await add_acts(
        session,
        [
            act("lease.expired", at=now, alert_id=r.alert_id, subject_id=r.delivery_id, attempt=r.attempt)
            for r in rows
        ],
    )
