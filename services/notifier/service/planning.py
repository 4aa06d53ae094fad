"""Alerts become duties and deliveries, in one transaction (architecture §2.4)."""

import base64
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.contracts.intake import AlertReceived
from common.contracts.notifier import EscalationRaised, ObligationFact, ObligationOpened
from common.contracts.vocabulary import DutyKind
from common.db import Session, after_commit
from common.ids import new_id, pairwise
from common.inbox import Received
from common.outbox import add_many as publish_many
from common.sealing import seal, unseal
from common.telemetry import log
from notifier.domain.edition import Edition
from notifier.domain.evaluation import Evaluation, evaluate
from notifier.domain.exclusion import Exclusion, implied
from notifier.domain.hold import Hold, Why, hold_of
from notifier.domain.planning import Case, Plan, plan
from notifier.domain.resolution import Directory
from notifier.repository import alerts as alert_rows
from notifier.repository import deliveries as delivery_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.directory import Route, find_directory, find_routes
from notifier.repository.records import act, add_acts, add_escalations
from notifier.service.desk import Desk
from notifier.service.exclusions import guard, store_implied, tell_raised
from notifier.service.ledger import NOBODY_OBLIGED, alert_facts, alert_row, notice_duty, obligation_row
from notifier.service.notices import Written, write

REGIONAL_BODY = "regional_child_rights_body"
CLUSTERED = "clustered"
"""The flood guard stopped a public report: the hub or an operator must look, it goes nowhere by itself."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """One alert with all that follows from it, before any of it is stored."""

    event: AlertReceived
    edition: Edition
    evaluation: Evaluation
    planned: Plan
    reporter: UUID | None
    excluded: Sequence[Exclusion]
    shut_out: frozenset[UUID]
    traceparent: str | None
    hold: Hold | None
    row: Mapping[str, Any]


async def plan_alerts(
    session: Session,
    desk: Desk,
    received: Sequence[Received],
    *,
    unsettled: Collection[UUID] = (),
    now: datetime,
) -> set[UUID]:
    """Pick the edition, evaluate, resolve, and store duties, deliveries, notices and what tells the others.

    Many alerts at once cost little more than one: each kind of row is one statement. An alert that was
    planned before stays as it is.

    Args:
        unsettled: alerts of which nothing may be claimed yet, for a change is still to be settled.

    Returns:
        Alerts that are planned now and were not before.
    """
    events = {one.event.alert_id: one for one in received}
    places = {_place(one.event) for one in events.values()}
    directories = {place: await find_directory(session, place) for place in sorted(places)}
    drafts = [
        await _draft(session, desk, one, directories[_place(one.event)], now=now) for one in events.values()
    ]
    new = await alert_rows.add_alerts(session, [draft.row for draft in drafts])
    drafts = [draft for draft in drafts if draft.event.alert_id in new]
    if not drafts:
        return set()
    for draft in drafts:
        if draft.excluded:
            alert_id, marks = draft.event.alert_id, [each.mark for each in draft.excluded]
            await store_implied(session, draft.excluded, raised_by=draft.event.reporter, since=now)
            await tell_raised(session, desk, alert_id, marks, draft.shut_out, {}, at=now)
    agencies = {d.agency for draft in drafts for d in draft.planned.deliveries if d.agency is not None}
    routes = await find_routes(session, agencies, now=now)
    promised: Counter[UUID] = Counter()
    by_draft = [
        _write(desk, draft, routes, promised, may_claim=draft.event.alert_id not in unsettled, now=now)
        for draft in drafts
    ]
    await obligation_rows.add_obligations(
        session,
        [
            obligation_row(d, draft.event.alert_id, draft.edition.id)
            for draft in drafts
            for d in draft.planned.duties
        ],
    )
    await store_many(
        session,
        desk,
        [(draft.event.alert_id, written) for draft, written in zip(drafts, by_draft, strict=True)],
        now=now,
    )
    for draft, written in zip(drafts, by_draft, strict=True):
        if _is_clustered(draft):
            await _alarm_cluster(session, draft, written.deliveries[0], now=now)
    handles = [
        row
        for d in drafts
        for row in _handles(desk, d.event.alert_id, d.event.received_at, d.reporter, d.planned)
    ]
    await alert_rows.add_handles(session, handles)
    await add_acts(session, [row for draft in drafts for row in _acts_of(draft, now=now)])
    await publish_many(
        session,
        [
            (
                duties_opened(desk, d.event.alert_id, d.event.territory, d.planned),
                d.event.alert_id,
                d.traceparent,
            )
            for d in drafts
        ],
        now=lambda: now,
    )
    for draft in drafts:
        _log(draft)
    return {draft.event.alert_id for draft in drafts}


async def _draft(
    session: Session, desk: Desk, one: Received, directory: Directory, *, now: datetime
) -> _Draft:
    event: AlertReceived = one.event
    place = _place(event)
    facts = alert_facts(event, regional_body=not directory.is_absent(REGIONAL_BODY, place, event.received_at))
    edition = desk.lawbook.edition_at(event.received_at)
    evaluation = evaluate(edition, facts, desk.lawbook.calendar)
    sealed = base64.b64decode(event.routing)
    reporter, implicated = open_routing(desk, event.alert_id, sealed)
    excluded = implied(
        event.alert_id, relation=event.offender_relation.value, implicated=implicated, place=place
    )
    guarded = await guard(
        session, event.alert_id, directory, [reporter], at=event.received_at, implied=excluded
    )
    hold = hold_of(
        holder=evaluation.holder,
        reporter_agency=reporter,
        direct_threat=event.direct_threat,
        clustered=event.clustered,
        received_at=event.received_at,
        release_after=edition.parameters.hub_release_after,
    )
    case = Case(
        territory=place,
        received_at=event.received_at,
        reporter_agency=reporter,
        excluded=guarded.excluded,
        auto_dispatch_before=edition.parameters.auto_dispatch_before,
        hold=hold,
    )
    planned = plan(evaluation, guarded.directory, case, new_id)
    row = alert_row(event, facts, edition, evaluation, planned, place, sealed, one.traceparent, now=now)
    row |= {"hold": hold.why if hold else None, "held_until": hold.until if hold else None}
    if hold is not None and hold.why is Why.CLUSTER:
        row["needs_a_person"] = CLUSTERED
    return _Draft(
        event, edition, evaluation, planned, reporter, excluded, guarded.excluded, one.traceparent, hold, row
    )


def _place(event: AlertReceived) -> str:
    return event.kato or event.territory


def _write(
    desk: Desk,
    draft: _Draft,
    routes: Mapping[UUID, Route],
    promised: Counter[UUID],
    *,
    may_claim: bool,
    now: datetime,
) -> Written:
    written = write(
        desk,
        draft.event.alert_id,
        draft.planned.deliveries,
        {duty.id: notice_duty(duty) for duty in draft.planned.duties},
        routes,
        traceparent=draft.traceparent,
        now=now,
        promised=promised,
        may_claim=may_claim,
    )
    if _is_clustered(draft):
        # Its alarm is a step of the hub's ladder; the next one goes on from there.
        written.deliveries[0]["escalation_level"] += 1
    return written


def _is_clustered(draft: _Draft) -> bool:
    return draft.hold is not None and draft.hold.why is Why.CLUSTER


def _acts_of(draft: _Draft, *, now: datetime) -> list[dict[str, Any]]:
    alert_id, planned = draft.event.alert_id, draft.planned
    acts = [
        act("alert.planned", at=now, alert_id=alert_id, edition=draft.edition.id, count=len(planned.duties))
    ]
    acts += [
        act("duty.withheld", at=now, alert_id=alert_id, rule=each.duty.rule, reason=each.reason)
        for each in planned.withheld
    ]
    if draft.evaluation.needs_a_person:
        acts.append(act("alert.nobody_obliged", at=now, alert_id=alert_id, reason=NOBODY_OBLIGED))
    return acts


def _log(draft: _Draft) -> None:
    alert_id = str(draft.event.alert_id)
    if draft.evaluation.needs_a_person:
        log.warning("alert_needs_a_person", alert_id=alert_id, reason=NOBODY_OBLIGED)
    log.info(
        "alert_planned", alert_id=alert_id, edition=draft.edition.id, count=len(draft.planned.deliveries)
    )


async def _alarm_cluster(session: Session, draft: _Draft, first: Mapping[str, Any], *, now: datetime) -> None:
    """The flood guard stopped a report: the hub, which is told ``first``, and the operator must look."""
    alert_id, delivery_id, level = draft.event.alert_id, first["id"], first["escalation_level"]
    raised = {
        "id": new_id(),
        "delivery_id": delivery_id,
        "alert_id": alert_id,
        "level": level,
        "reason": CLUSTERED,
        "raised_at": now,
        "rung": None,
        "climbed_id": None,
    }
    await add_escalations(session, [raised])
    event = EscalationRaised(delivery_id=delivery_id, alert_id=alert_id, level=level, raised_at=now)
    await publish_many(session, [(event, alert_id, draft.traceparent)], now=lambda: now)
    await add_acts(session, [act("alert.clustered", at=now, alert_id=alert_id, subject_id=delivery_id)])
    log.warning("alert_needs_a_person", alert_id=str(alert_id), reason=CLUSTERED)


async def store(session: Session, desk: Desk, alert_id: UUID, written: Written, *, now: datetime) -> None:
    """Store new deliveries with their notices, attempts, audit rows and alarms; send after the commit."""
    await store_many(session, desk, [(alert_id, written)], now=now)


async def store_many(
    session: Session, desk: Desk, written: Sequence[tuple[UUID, Written]], *, now: datetime
) -> None:
    """As ``store``, for several alerts, each with what was written for it."""
    rows = [(alert_id, row) for alert_id, each in written for row in each.deliveries]
    await delivery_rows.add_deliveries(session, [row for _, row in rows])
    await delivery_rows.add_notices(session, [row for _, each in written for row in each.notices])
    await delivery_rows.add_attempts(session, [row for _, each in written for row in each.attempts])
    lost = [(alert_id, row) for alert_id, row in rows if row["agency_id"] is None]
    await add_escalations(
        session,
        [
            {
                "id": new_id(),
                "delivery_id": row["id"],
                "alert_id": alert_id,
                "level": 1,
                "reason": "no_route",
                "raised_at": now,
                "rung": None,
                "climbed_id": None,
            }
            for alert_id, row in lost
        ],
    )
    for alert_id, row in lost:
        raised = EscalationRaised(delivery_id=row["id"], alert_id=alert_id, level=1, raised_at=now)
        await publish_many(session, [(raised, alert_id, row["traceparent"])], now=lambda: now)
        log.warning("no_route", alert_id=str(alert_id), delivery_id=str(row["id"]), role=row["role"])
    await add_acts(
        session,
        [
            act(
                "delivery.planned",
                at=now,
                alert_id=alert_id,
                subject_id=row["id"],
                role=row["role"],
                state=str(row["state"]),
            )
            for alert_id, row in rows
        ],
    )
    claimed = [one for _, each in written for one in each.claimed]
    waiting: dict[UUID, list[UUID]] = {}
    for _, each in written:
        for endpoint_id, ids in each.waiting.items():
            waiting.setdefault(endpoint_id, []).extend(ids)
    if claimed:
        after_commit(session, lambda: desk.lanes.start(claimed))
    if waiting:
        after_commit(session, lambda: desk.lanes.wake(waiting))


def open_routing(desk: Desk, alert_id: UUID, sealed: bytes) -> tuple[UUID | None, frozenset[UUID]]:
    """The reporter's agency and the implicated ones, sealed by intake for us alone."""
    routing = json.loads(unseal(desk.keys.opening("routing"), sealed, str(alert_id).encode()))
    reporter = routing.get("reporter_agency")
    return (UUID(reporter) if reporter else None, frozenset(UUID(each) for each in routing["implicated"]))


async def add_handles(
    session: Session,
    desk: Desk,
    alert_id: UUID,
    received_at: datetime,
    reporter: UUID | None,
    planned: Plan,
) -> None:
    """Let the agencies of a plan know the alert by ids of their own."""
    await alert_rows.add_handles(session, _handles(desk, alert_id, received_at, reporter, planned))


def _handles(
    desk: Desk, alert_id: UUID, received_at: datetime, reporter: UUID | None, planned: Plan
) -> list[dict[str, Any]]:
    agencies = {delivery.agency for delivery in planned.deliveries if delivery.agency is not None}
    if reporter is not None:
        agencies.add(reporter)
    key = desk.keys.secret("pairwise")
    return [
        {
            "handle": pairwise(key, alert_id, agency),
            "alert_id": alert_id,
            "agency_id": agency,
            "is_reporter": "y" if agency == reporter else "n",
            "received_at": received_at,
        }
        for agency in agencies
    ]


def duties_opened(desk: Desk, alert_id: UUID, territory: str, planned: Plan) -> ObligationOpened:
    """What the others hear of new duties; ``territory`` is the region."""
    facts = tuple(
        ObligationFact(
            obligation_id=each.id,
            rule=each.duty.rule,
            kind=DutyKind(each.duty.kind),
            obliged=each.duty.obliged,
            recipient=each.duty.recipient,
            force=each.duty.force,
            state="open" if each.state == "open" else "pending",
            starts_at=each.duty.starts_at,
            due_at=each.duty.due_at,
            breach_at=each.duty.breach_at,
            evidence=each.duty.evidence,
        )
        for each in planned.duties
    )
    owners = {each.id: each.obliged_agency for each in planned.duties}
    return ObligationOpened(
        alert_id=alert_id,
        territory=territory,
        obligations=facts,
        assignees=seal_assignees(desk, alert_id, owners),
    )


def seal_assignees(desk: Desk, alert_id: UUID, owners: Mapping[UUID, UUID | None]) -> str:
    """Who owes what, readable by casework alone: an agency's id can point at a school."""
    document = {str(obligation): str(agency) for obligation, agency in owners.items() if agency is not None}
    sealed = seal(desk.keys.sealing_public("assignee"), json.dumps(document).encode(), str(alert_id).encode())
    return base64.b64encode(sealed).decode()
