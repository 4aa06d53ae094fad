"""What may be looked at, by whom (``domain.visibility``), and how it is told."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.db import Session
from common.identity import Principal
from common.telemetry import trace_id_of
from notifier.domain.delivery import OPEN, State
from notifier.domain.visibility import Sight, Viewer, sight_of
from notifier.errors import AlertUnknown, DeliveryUnknown
from notifier.repository import alerts as alert_rows
from notifier.repository import views
from notifier.repository.alerts import AlertRow
from notifier.repository.views import DeliveryView
from notifier.service.breaches import list_shown
from notifier.service.desk import Desk
from notifier.service.exclusions import hidden_alerts
from notifier.service.receipts import open_receipt


@dataclass(frozen=True, slots=True)
class Seen:
    """An alert as one caller may look at it; ``shown_id`` is the id under which the caller knows it."""

    alert: AlertRow
    shown_id: UUID
    viewer: Viewer
    is_reporter: bool

    @property
    def number(self) -> str | None:
        """The short number: reporter and operator only."""
        return self.alert.number if self.is_reporter or self.viewer.agency is None else None

    @property
    def trace_id(self) -> str | None:
        """The trace: operator only, it would link what agencies are told."""
        return trace_id_of(self.alert.traceparent) if self.viewer.agency is None else None


async def see_alert(session: Session, caller: Principal, alert_id: UUID) -> Seen:
    """Find the alert that this id means for this caller.

    Raises:
        AlertUnknown: there is none, it is another agency's id, or the caller may see no alert. The
            three cannot be told apart.
    """
    sight = sight_of(caller.role, caller.bodies)
    if sight is None:
        raise AlertUnknown
    known = await alert_rows.find_by_handle(session, alert_id)
    if sight is Sight.EVERYTHING:
        alert = await alert_rows.find_alert(session, known.alert_id if known else alert_id)
        if alert is None:
            raise AlertUnknown
        return Seen(alert, alert.id, Viewer(sight, None), is_reporter=False)
    # Asked before anything is known of the id: a hidden alert must not take longer than a missing one.
    hidden = await hidden_alerts(session, caller)
    if known is None or caller.agency is None or known.agency_id != caller.agency:
        raise AlertUnknown
    if known.alert_id in hidden:
        raise AlertUnknown
    alert = await alert_rows.find_alert(session, known.alert_id)
    if alert is None:
        raise AlertUnknown
    return Seen(alert, known.handle, Viewer(sight, caller.agency), known.is_reporter)


async def list_alerts(
    session: Session, caller: Principal, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[Seen]:
    """Alerts newest first: the operator's list holds all, an agency's those that it knows.

    Raises:
        AlertUnknown: this caller may see no alert.
    """
    sight = sight_of(caller.role, caller.bodies)
    if sight is None or (sight is not Sight.EVERYTHING and caller.agency is None):
        raise AlertUnknown
    agency = None if sight is Sight.EVERYTHING else caller.agency
    hidden = await hidden_alerts(session, caller) if agency is not None else frozenset()
    found = await alert_rows.list_alerts(session, agency_id=agency, after=after, limit=limit, hidden=hidden)
    viewer = Viewer(sight, agency)
    return [
        Seen(alert, known.handle if known else alert.id, viewer, known.is_reporter if known else False)
        for alert, known in found
    ]


async def summaries(session: Session, seen: Sequence[Seen]) -> list[dict[str, Any]]:
    """One row an alert: id, times, and how its deliveries stand."""
    if not seen:
        return []
    viewer = seen[0].viewer
    own = None if viewer.sees_all else viewer.agency
    ids = [each.alert.id for each in seen]
    tallies = await views.tally(session, ids, agency_id=own)
    owed = {} if viewer.agency is None else await views.count_owed(session, ids, viewer.agency)
    empty = views.Tally({}, 0, None)
    rows = []
    for each in seen:
        tally = tallies.get(each.alert.id, empty)
        rows.append(
            {
                "id": each.shown_id,
                "number": each.number,
                "received_at": each.alert.received_at,
                "planned_at": each.alert.planned_at,
                "urgency": each.alert.urgency,
                "edition": each.alert.edition,
                "states": dict(tally.states),
                "escalation_level": tally.escalation_level,
                "oldest_unanswered_at": tally.oldest_unanswered_at,
                "needs_a_person": each.alert.needs_a_person,
                "held": each.alert.hold if viewer.sees_all else None,
                "held_until": each.alert.held_until if viewer.sees_all else None,
                "released_at": each.alert.released_at if viewer.sees_all else None,
                "own_open": None if viewer.agency is None else owed.get(each.alert.id, (0, None))[0],
                "own_due_at": owed.get(each.alert.id, (0, None))[1],
                "is_reporter": each.is_reporter,
                "trace_id": each.trace_id,
            }
        )
    return rows


async def list_obligations(session: Session, desk: Desk, seen: Seen) -> list[dict[str, Any]]:
    """The duties that this caller may see."""
    rows = []
    found = await views.list_obligations(session, seen.alert.id)
    broken = await list_shown(session, desk, found, seen.viewer.agency)
    for row in found:
        if not seen.viewer.sees_obligation(
            obliged=row["obliged_agency_id"],
            recipient=row["recipient_agency_id"],
            was_dispatched=row["delivery_id"] is not None,
        ):
            continue
        is_own = seen.viewer.agency is None or row["obliged_agency_id"] == seen.viewer.agency
        rows.append(
            {
                **{name: row[name] for name in _OBLIGATION},
                "delivery": row["delivery_id"],
                "evidence": row["evidence_id"],
                "obliged_agency": row["obliged_agency_id"] if is_own else None,
                "breach": broken.get(row["id"]),
            }
        )
    return rows


_OBLIGATION = (
    "id", "rule", "citation", "duty", "kind", "obliged", "recipient", "force", "state", "edition",
    "starts_at", "due_at", "breach_at", "dispatch_at", "met_at", "alarmed_at", "breached_at",
    "released_at", "waived_at", "overtaken_at",
)  # fmt: skip


def beside(seen: Seen) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Advisories and withheld duties: for the operator, the supervisor and the reporter.

    That somebody is not told is nothing that those who are told may learn.
    """
    if seen.viewer.sees_all or seen.is_reporter:
        return list(seen.alert.advisories), list(seen.alert.withheld)
    return [], []


async def list_deliveries(session: Session, desk: Desk, seen: Seen) -> list[dict[str, Any]]:
    """The deliveries of an alert that this caller may see."""
    return [
        tell(desk, delivery, seen.viewer, seen.shown_id)
        for delivery in await views.list_of_alert(session, seen.alert.id)
        if _sees(seen.viewer, delivery)
    ]


async def list_all_deliveries(
    session: Session,
    desk: Desk,
    caller: Principal,
    *,
    state: str | None,
    agency_id: UUID | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Deliveries of all alerts, newest first: the operator's list holds all, an agency's its own.

    Raises:
        DeliveryUnknown: this caller may see no delivery.
    """
    sight = sight_of(caller.role, caller.bodies)
    if sight is None or (sight is not Sight.EVERYTHING and caller.agency is None):
        raise DeliveryUnknown
    if sight is not Sight.EVERYTHING:
        if agency_id not in (None, caller.agency):
            return []
        agency_id = caller.agency
    found = await views.list_deliveries(
        session,
        state=state,
        agency_id=agency_id,
        after=after,
        limit=limit,
        with_tests=sight is not Sight.EVERYTHING,
        hidden=await hidden_alerts(session, caller) if sight is not Sight.EVERYTHING else frozenset(),
    )
    if sight is Sight.EVERYTHING or caller.agency is None:
        return [tell(desk, each, Viewer(Sight.EVERYTHING, None), each.alert_id) for each in found]
    viewer = Viewer(sight, caller.agency)
    known = await views.handles_of(session, [each.alert_id for each in found if each.alert_id], caller.agency)
    return [
        tell(desk, each, viewer, known.get(each.alert_id) if each.alert_id else None)
        for each in found
        if each.alert_id is None or each.alert_id in known
    ]


async def see_delivery(session: Session, desk: Desk, caller: Principal, delivery_id: UUID) -> dict[str, Any]:
    """One delivery.

    Raises:
        DeliveryUnknown: there is none that this caller may see.
    """
    sight = sight_of(caller.role, caller.bodies)
    # A hidden delivery must not take longer than a missing one: both end before anything is put together.
    hidden = await hidden_alerts(session, caller)
    place = await views.find_place(session, delivery_id)
    if sight is None or place is None or place.alert_id in hidden:
        raise DeliveryUnknown
    delivery = await views.find_delivery(session, delivery_id)
    if delivery is None:
        raise DeliveryUnknown
    if sight is Sight.EVERYTHING:
        return tell(desk, delivery, Viewer(sight, None), delivery.alert_id)
    if caller.agency is None:
        raise DeliveryUnknown
    viewer = Viewer(sight, caller.agency)
    if delivery.alert_id is None:
        if delivery.agency_id != caller.agency:
            raise DeliveryUnknown
        return tell(desk, delivery, viewer, None)
    handles = await views.handles_of(session, [delivery.alert_id], caller.agency)
    if delivery.alert_id not in handles or not _sees(viewer, delivery):
        raise DeliveryUnknown
    return tell(desk, delivery, viewer, handles[delivery.alert_id])


def _sees(viewer: Viewer, delivery: DeliveryView) -> bool:
    return viewer.sees_delivery(
        agency=delivery.agency_id,
        carries_duty_of=frozenset(duty.obliged_agency_id for duty in delivery.duties if duty.is_carried),
    )


def tell(desk: Desk, delivery: DeliveryView, viewer: Viewer, shown_alert: UUID | None) -> dict[str, Any]:
    """A delivery as this caller may see it: notice and receipt in full only to whom it is addressed."""
    is_addressee = viewer.is_addressee(delivery.agency_id)
    shows_all_duties = viewer.sees_all or is_addressee
    return {
        "id": delivery.id,
        "alert": shown_alert,
        "agency": delivery.agency_id,
        "role": delivery.role,
        "notice": delivery.notice_no,
        "rung": delivery.rung,
        "escalates": delivery.escalates_id,
        "generation": delivery.generation,
        "state": delivery.state.value,
        "reason": delivery.reason,
        "urgency": delivery.urgency.value,
        "duties": [
            {
                "obligation": duty.obligation_id,
                "rule": duty.rule,
                "citation": duty.citation,
                "text": duty.text,
                "due_at": duty.due_at,
                "force": duty.force,
            }
            for duty in delivery.duties
            if shows_all_duties or duty.obliged_agency_id == viewer.agency
        ],
        "attempts": delivery.attempts,
        "planned_at": delivery.planned_at,
        "deadline_at": delivery.deadline_at,
        "next_attempt_at": delivery.next_wakeup_at if delivery.state in OPEN else None,
        "transmitted_at": delivery.transmitted_at,
        "opened_at": delivery.opened_at,
        "acknowledged_at": delivery.acknowledged_at,
        "ack_due_at": delivery.next_wakeup_at if delivery.state is State.TRANSMITTED else None,
        "escalation_level": delivery.escalation_level,
        "notice_digest": delivery.digest if is_addressee or viewer.agency is None else None,
        # Showing it would be handing it over: that is the inbox's to do, and to record.
        "content": json.loads(delivery.body)
        if is_addressee and delivery.body and delivery.transmitted_at
        else None,
        "receipt": _receipt(desk, delivery, is_addressee=is_addressee),
        "test": delivery.is_test,
    }


def _receipt(desk: Desk, delivery: DeliveryView, *, is_addressee: bool) -> dict[str, Any] | None:
    if delivery.receipt is None:
        return None
    if is_addressee:
        return open_receipt(desk, delivery.id, delivery.receipt.sealed)
    return {
        "status": delivery.receipt.status,
        "at": delivery.receipt.at,
        "recorded_at": delivery.receipt.recorded_at,
        "means": delivery.receipt.means,
    }
