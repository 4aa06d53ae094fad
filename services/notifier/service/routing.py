"""Finds the way for what had none: a holder that was named later, or a notice whose time has come."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from common.contracts.notifier import ObligationFact, ObligationOpened
from common.contracts.vocabulary import DutyKind
from common.db import Session, after_commit
from common.ids import new_id, pairwise
from common.outbox import add as publish
from common.telemetry import log
from notifier.domain.delivery import Reason
from notifier.domain.exclusion import SCHOOLS
from notifier.domain.notice import NoticeDuty
from notifier.domain.planning import (
    IMPLICATED,
    OWN_BODY,
    REPORTER_KNOWS,
    Freight,
    Party,
    PlannedDelivery,
    load,
    party,
)
from notifier.domain.resolution import Holder
from notifier.domain.schedule import BY_ORDER, urgency_of
from notifier.domain.territory import region_of
from notifier.repository import alerts as alert_rows
from notifier.repository import deliveries as delivery_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.alerts import AlertRow
from notifier.repository.deliveries import Unrouted
from notifier.repository.directory import find_directory, find_routes
from notifier.repository.obligations import Row
from notifier.repository.overdue import Overdue
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
from notifier.service.exclusions import Guarded, guard
from notifier.service.notices import render, route_values, silence, write
from notifier.service.planning import open_routing, seal_assignees, store


async def route_alert(session: Session, desk: Desk, alert_id: UUID, *, now: datetime) -> set[UUID]:
    """Address those deliveries of an alert that nobody held; returns the ones that found their agency."""
    # Naming a holder changes duties: they come before their alert.
    await obligation_rows.lock_of_alert(session, alert_id)
    alert = await alert_rows.lock_alert(session, alert_id)
    if alert is None:
        return set()
    reporter, _ = open_routing(desk, alert.id, alert.routing)
    guarded = await guard(
        session, alert.id, await find_directory(session, alert.territory), [reporter], at=now
    )
    found: set[UUID] = set()
    for lost in await delivery_rows.lock_unrouted(session, alert_id):
        # Who holds the role now: the body may have been founded after the alert.
        holder = guarded.directory.answering(lost.role, alert.territory, now, guarded.excluded)
        if holder is None:
            continue
        if holder.agency_id == reporter:
            await _withhold(session, alert, lost, REPORTER_KNOWS, now=now)
        else:
            await _address(session, desk, alert, lost, holder.agency_id, now=now)
        await obligation_rows.name_holder(session, alert_id, lost.role, holder.agency_id)
        found.add(lost.id)
    if found:
        await tell_assignees(session, desk, alert, now=now)
    return found


async def tell_assignees(session: Session, desk: Desk, alert: AlertRow, *, now: datetime) -> None:
    """Who owes what has changed: casework hears the unmet duties again with their owners."""
    unmet = [
        row
        for row in await obligation_rows.list_of_alert(session, alert.id)
        if row.state in ("pending", "open")
    ]
    event = ObligationOpened(
        alert_id=alert.id,
        territory=region_of(alert.territory),
        obligations=tuple(
            ObligationFact(
                obligation_id=row.id,
                rule=row.rule,
                kind=DutyKind(row.kind),
                obliged=row.obliged,
                recipient=row.recipient,
                force=row.force,
                state="open" if row.state == "open" else "pending",
                starts_at=row.starts_at,
                due_at=row.due_at,
                breach_at=row.breach_at,
                evidence=desk.lawbook.edition(row.edition).rule(row.rule).evidence,
            )
            for row in unmet
        ),
        assignees=seal_assignees(desk, alert.id, {row.id: row.obliged_agency_id for row in unmet}),
    )
    await publish(session, event, subject=alert.id, now=lambda: now)


async def route_all(session: Session, desk: Desk, *, now: datetime) -> int:
    """Try again for every alert that has a delivery without an agency; after every change of holders."""
    found = 0
    for alert_id in await delivery_rows.list_without_route(session):
        found += len(await route_alert(session, desk, alert_id, now=now))
    return found


async def find_ways(session: Session, desk: Desk, rows: Sequence[Overdue], *, now: datetime) -> list[Overdue]:
    """Let what lacks a way be pushed where its agency has one by now; returns the rows as they are then.

    A registration or a resume pushes what it sees. What another transaction was planning or blocking at
    that moment is found here: every row without a way is looked at by time.
    """
    asleep = [row.delivery_id for row in rows if row.lacks_a_way]
    ways = await delivery_rows.find_ways(session, asleep, now=now) if asleep else {}
    if not ways:
        return list(rows)
    await delivery_rows.give_ways(session, ways, now=now)
    waiting: dict[UUID, list[UUID]] = defaultdict(list)
    for delivery_id, (endpoint_id, _) in ways.items():
        waiting[endpoint_id].append(delivery_id)
    after_commit(session, lambda: desk.lanes.wake(waiting))
    log.info("ways_found", count=len(ways))
    return [
        replace(row, endpoint_id=ways[row.delivery_id][0], reason=Reason.NEW)
        if row.delivery_id in ways
        else row
        for row in rows
    ]


async def dispatch_duties(
    session: Session, desk: Desk, alert_id: UUID, rows: Sequence[Row], *, now: datetime
) -> None:
    """Send notices that waited: released, or their time has come (architecture §3, *Dispatch*)."""
    alert = await alert_rows.lock_alert(session, alert_id)
    if alert is None:
        return
    reporter, _ = open_routing(desk, alert.id, alert.routing)
    directory = await find_directory(session, alert.territory)
    guarded = await guard(
        session, alert.id, directory, [reporter, *(row.recipient_agency_id for row in rows)], at=now
    )
    freight: list[Freight] = []
    kept: list[tuple[Row, str]] = []
    for row in rows:
        told = _told(row, guarded, alert.territory, now)
        reason = _why_not(row, told, reporter)
        if reason is not None:
            kept.append((row, reason))
            continue
        freight.append(
            Freight(
                obligation_id=row.id,
                role=told.role,
                agency=told.agency,
                urgency=urgency_of(None if row.due_at is None else row.due_at - now),
                due_at=row.due_at,
            )
        )
    planned = await send_freight(session, desk, alert, freight, rows, now=now)
    for delivery in planned:
        for obligation_id in delivery.obligations:
            values = {"delivery_id": delivery.id, "dispatch_at": None, "is_held": False}
            if delivery.agency is not None:
                values["recipient_agency_id"] = delivery.agency
            await obligation_rows.set_obligation(session, obligation_id, values)
    await withhold_duties(session, alert_id, kept, now=now)


async def send_freight(
    session: Session,
    desk: Desk,
    alert: AlertRow,
    freight: Sequence[Freight],
    rows: Sequence[Row],
    *,
    now: datetime,
) -> Sequence[PlannedDelivery]:
    """Store further notices of an alert that was planned before, and send them after the commit.

    The caller holds the alert's lock, and has asked who is shut out since it got it.

    Args:
        rows: the duties that the notices name.
    """
    planned = load(freight, await delivery_rows.last_numbers(session, alert.id), new_id)
    duties = {row.id: notice_duty(row) for row in rows}
    routes = await find_routes(session, {d.agency for d in planned if d.agency is not None}, now=now)
    written = write(desk, alert.id, planned, duties, routes, traceparent=alert.traceparent, now=now)
    await store(session, desk, alert.id, written, now=now)
    await add_handles(session, desk, alert, (d.agency for d in planned if d.agency is not None))
    return planned


def _told(row: Row, guarded: Guarded, territory: str, now: datetime) -> Party:
    """Whom the notice of a duty is for: its recipient, or whoever takes the place of one that is shut out."""
    role = row.recipient or row.obliged
    holder = guarded.directory.holder(role, territory, now)
    if row.recipient_agency_id is not None:
        holder = Holder(row.recipient_agency_id, role)
    return party(holder, role, guarded.directory, territory, now, guarded.excluded)


def _why_not(row: Row, told: Party, reporter: UUID | None) -> str | None:
    if told.is_substitute and row.recipient in SCHOOLS:
        return IMPLICATED
    if told.agency is None:
        return None
    if told.agency == reporter:
        return REPORTER_KNOWS
    return OWN_BODY if told.agency == row.obliged_agency_id else None


def notice_duty(row: Row) -> NoticeDuty:
    """A duty as its notice names it."""
    return NoticeDuty(row.rule, row.citation["ru"], row.duty, row.due_at, row.force)


async def _address(
    session: Session, desk: Desk, alert: AlertRow, lost: Unrouted, agency_id: UUID, *, now: datetime
) -> None:
    duties = await obligation_rows.list_of_delivery(session, lost.id)
    numbers = await delivery_rows.last_numbers(session, alert.id)
    planned = PlannedDelivery(
        id=lost.id,
        agency=agency_id,
        role=lost.role,
        bodies=lost.bodies,
        number=numbers.get(agency_id, 0) + 1,
        urgency=BY_ORDER[lost.urgency],
        deadline=lost.deadline,
        obligations=tuple(row.id for row in duties),
    )
    route = (await find_routes(session, [agency_id], now=now)).get(agency_id)
    values = {
        "agency_id": agency_id,
        "notice_no": planned.number,
        **route_values(route, planned, desk, now=now),
        # The holder is asked from now on: what came before was nobody's silence.
        **silence(desk, planned, now=now),
    }
    if not await delivery_rows.give_route(session, lost.id, values):
        return
    notice = render(desk, planned, agency_id, alert.id, [notice_duty(row) for row in duties], now=now)
    await delivery_rows.add_notices(session, [notice])
    for row in duties:
        await obligation_rows.set_obligation(session, row.id, {"recipient_agency_id": agency_id})
    await add_handles(session, desk, alert, [agency_id])
    await add_acts(session, [act("delivery.routed", at=now, alert_id=alert.id, subject_id=lost.id)])
    if route is not None and route.paused_at is None:
        waiting = {route.endpoint_id: [lost.id]}
        after_commit(session, lambda: desk.lanes.wake(waiting))


async def _withhold(session: Session, alert: AlertRow, lost: Unrouted, reason: str, *, now: datetime) -> None:
    """The only holder must not be told: the delivery ends, its duties are withheld."""
    duties = await obligation_rows.list_of_delivery(session, lost.id)
    await delivery_rows.cancel(session, lost.id)
    await withhold_duties(session, alert.id, [(row, reason) for row in duties], now=now)


async def withhold_duties(
    session: Session, alert_id: UUID, kept: Sequence[tuple[Row, str]], *, now: datetime
) -> None:
    """Duties that must not be carried out any more, each with the code that says why."""
    for row, _ in kept:
        await obligation_rows.set_obligation(
            session, row.id, {"state": "cancelled", "dispatch_at": None, "next_check_at": None}
        )
    await add_acts(
        session,
        [
            act("duty.withheld", at=now, alert_id=alert_id, subject_id=row.id, rule=row.rule, reason=reason)
            for row, reason in kept
        ],
    )


async def add_handles(session: Session, desk: Desk, alert: AlertRow, agencies: Iterable[UUID]) -> None:
    """Let these agencies know the alert, each by an id of its own."""
    key = desk.keys.secret("pairwise")
    await alert_rows.add_handles(
        session,
        [
            {
                "handle": pairwise(key, alert.id, agency),
                "alert_id": alert.id,
                "agency_id": agency,
                "is_reporter": "n",
                "received_at": alert.received_at,
            }
            for agency in set(agencies)
        ],
    )
