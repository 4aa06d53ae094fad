"""One alert becomes duties and deliveries, in one transaction (architecture §2.4)."""

import base64
import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from common.contracts.intake import AlertReceived
from common.contracts.notifier import EscalationRaised, ObligationFact, ObligationOpened
from common.contracts.vocabulary import DutyKind
from common.db import Session, after_commit
from common.ids import new_id, pairwise
from common.outbox import add as publish
from common.sealing import seal, unseal
from common.telemetry import current_traceparent, log
from notifier.domain.edition import Edition
from notifier.domain.evaluation import Evaluation, evaluate
from notifier.domain.exclusion import implied
from notifier.domain.facts import Facts
from notifier.domain.notice import NoticeDuty, instant
from notifier.domain.planning import Case, Plan, PlannedDuty, WithheldDuty, next_check, plan
from notifier.domain.schedule import ORDER, Urgency
from notifier.repository import alerts as alert_rows
from notifier.repository import deliveries as delivery_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.directory import find_directory, find_routes
from notifier.repository.records import act, add_acts, add_escalations
from notifier.service.desk import Desk
from notifier.service.exclusions import guard, store_implied
from notifier.service.notices import Written, write

REGIONAL_BODY = "regional_child_rights_body"
NOBODY_OBLIGED = "nobody_obliged"
"""The law names nobody for such an alert: an operator must find who helps, it must not lie unseen."""


async def plan_alert(session: Session, desk: Desk, event: AlertReceived, *, now: datetime) -> None:
    """Pick the edition, evaluate, resolve, and store duties, deliveries, notices and what tells the others.

    An alert that was planned before stays as it is.
    """
    place = event.kato or event.territory
    directory = await find_directory(session, place)
    facts = _facts(event, regional_body=not directory.is_absent(REGIONAL_BODY, place, event.received_at))
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
    case = Case(
        territory=place,
        received_at=event.received_at,
        reporter_agency=reporter,
        excluded=guarded.excluded,
        auto_dispatch_before=edition.parameters.auto_dispatch_before,
    )
    planned = plan(evaluation, guarded.directory, case, new_id)
    traceparent = current_traceparent()
    alert = _alert_row(event, facts, edition, evaluation, planned, place, sealed, traceparent, now=now)
    if not await alert_rows.add_alert(session, alert):
        return
    await store_implied(session, excluded, raised_by=event.reporter, since=now)
    routes = await find_routes(
        session, {d.agency for d in planned.deliveries if d.agency is not None}, now=now
    )
    duties = {duty.id: notice_duty(duty) for duty in planned.duties}
    written = write(
        desk, event.alert_id, planned.deliveries, duties, routes, traceparent=traceparent, now=now
    )
    await obligation_rows.add_obligations(
        session, [obligation_row(d, event.alert_id, edition.id) for d in planned.duties]
    )
    await store(session, desk, event.alert_id, written, now=now)
    await add_handles(session, desk, event.alert_id, event.received_at, reporter, planned)
    await add_acts(
        session,
        [
            act(
                "alert.planned",
                at=now,
                alert_id=event.alert_id,
                edition=edition.id,
                count=len(planned.duties),
            ),
            *(
                act("duty.withheld", at=now, alert_id=event.alert_id, rule=each.duty.rule, reason=each.reason)
                for each in planned.withheld
            ),
        ],
    )
    told = duties_opened(desk, event.alert_id, event.territory, planned)
    await publish(session, told, subject=event.alert_id, now=lambda: now)
    if evaluation.needs_a_person:
        await add_acts(
            session, [act("alert.nobody_obliged", at=now, alert_id=event.alert_id, reason=NOBODY_OBLIGED)]
        )
        log.warning("alert_needs_a_person", alert_id=str(event.alert_id), reason=NOBODY_OBLIGED)
    log.info("alert_planned", alert_id=str(event.alert_id), edition=edition.id, count=len(planned.deliveries))


async def store(session: Session, desk: Desk, alert_id: UUID, written: Written, *, now: datetime) -> None:
    """Store new deliveries with their notices, attempts, audit rows and alarms; send after the commit."""
    await delivery_rows.add_deliveries(session, written.deliveries)
    await delivery_rows.add_notices(session, written.notices)
    await delivery_rows.add_attempts(session, written.attempts)
    lost = [row for row in written.deliveries if row["agency_id"] is None]
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
            for row in lost
        ],
    )
    for row in lost:
        raised = EscalationRaised(delivery_id=row["id"], alert_id=alert_id, level=1, raised_at=now)
        await publish(session, raised, subject=alert_id, now=lambda: now)
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
            for row in written.deliveries
        ],
    )
    if written.claimed:
        after_commit(session, lambda: desk.lanes.start(written.claimed))
    if written.waiting:
        after_commit(session, lambda: desk.lanes.wake(written.waiting))


def open_routing(desk: Desk, alert_id: UUID, sealed: bytes) -> tuple[UUID | None, frozenset[UUID]]:
    """The reporter's agency and the implicated ones, sealed by intake for us alone."""
    routing = json.loads(unseal(desk.keys.opening("routing"), sealed, str(alert_id).encode()))
    reporter = routing.get("reporter_agency")
    return (UUID(reporter) if reporter else None, frozenset(UUID(each) for each in routing["implicated"]))


def facts_row(facts: Facts) -> dict[str, Any]:
    """Facts as they are stored: codes and flags; the time of receipt has a column of its own."""
    fields = {each.name: getattr(facts, each.name) for each in dataclasses.fields(Facts)}
    del fields["received_at"]
    return {**fields, "concerns": sorted(facts.concerns)}


def facts_of(fields: Mapping[str, Any], received_at: datetime) -> Facts:
    """Facts as they were stored."""
    return Facts(received_at=received_at, **{**fields, "concerns": frozenset(fields["concerns"])})


def _facts(event: AlertReceived, *, regional_body: bool) -> Facts:
    return Facts(
        received_at=event.received_at,
        territory=event.kato or event.territory,
        concerns=frozenset(concern.value for concern in event.concerns),
        reporter=event.reporter,
        reported_by=event.reported_by.value if event.reported_by else None,
        occasion=event.occasion.value,
        channel=event.channel.value,
        cyber=event.cyber,
        direct_threat=event.direct_threat,
        needs_medical_care=event.needs_medical_care,
        without_parental_care=event.without_parental_care,
        offender_relation=event.offender_relation.value,
        parents_may_be_informed=event.parents_may_be_informed,
        age_band=event.age_band.value,
        regional_body=regional_body,
    )


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A preview row as JSON stores it."""
    return {key: instant(value) if isinstance(value, datetime) else value for key, value in row.items()}


def _alert_row(
    event: AlertReceived,
    facts: Facts,
    edition: Edition,
    evaluation: Evaluation,
    planned: Plan,
    place: str,
    sealed: bytes,
    traceparent: str | None,
    *,
    now: datetime,
) -> dict[str, Any]:
    urgencies = [delivery.urgency for delivery in planned.deliveries] or [Urgency.ROUTINE]
    withheld = [plain(each.as_row()) for each in evaluation.withheld]
    withheld += [withheld_row(each) for each in planned.withheld]
    return {
        "id": event.alert_id,
        "number": event.number,
        "received_at": event.received_at,
        "planned_at": now,
        "territory": place,
        "facts": facts_row(facts),
        "edition": edition.id,
        "urgency": min(urgencies, key=ORDER.__getitem__).value,
        "routing": sealed,
        "advisories": [plain(each.as_row()) for each in evaluation.advisories],
        "withheld": withheld,
        "needs_a_person": NOBODY_OBLIGED if evaluation.needs_a_person else None,
        "traceparent": traceparent,
    }


def withheld_row(each: WithheldDuty) -> dict[str, Any]:
    """A withheld duty as its alert keeps it."""
    return {**plain(each.duty.as_row()), "reason": each.reason}


def notice_duty(planned: PlannedDuty) -> NoticeDuty:
    """A new duty as its notice names it."""
    duty = planned.duty
    return NoticeDuty(duty.rule, duty.citation.ru, duty.text.bilingual(), duty.due_at, duty.force)


def obligation_row(
    planned: PlannedDuty, alert_id: UUID, edition: str, *, since: datetime | None = None
) -> dict[str, Any]:
    """A new duty as the ledger holds it; ``since``: it was opened later than the alert, at that moment."""
    duty = planned.duty
    dispatch = planned.dispatch_at if planned.delivery_id is None else None
    return {
        "id": planned.id,
        "alert_id": alert_id,
        "rule": duty.rule,
        "kind": duty.kind,
        "force": duty.force,
        "edition": edition,
        "citation": duty.citation.bilingual(),
        "duty": duty.text.bilingual(),
        "obliged": duty.obliged,
        "obliged_agency_id": planned.obliged_agency,
        "recipient": duty.recipient,
        "recipient_agency_id": planned.recipient_agency,
        "delivery_id": planned.delivery_id,
        "state": planned.state,
        "starts_at": duty.starts_at,
        "due_at": duty.due_at,
        "breach_at": duty.breach_at,
        "dispatch_at": dispatch,
        "next_check_at": next_check(
            state=planned.state, dispatch=dispatch, due_at=duty.due_at, breach_at=duty.breach_at
        ),
        "since": since,
    }


async def add_handles(
    session: Session,
    desk: Desk,
    alert_id: UUID,
    received_at: datetime,
    reporter: UUID | None,
    planned: Plan,
) -> None:
    """Let the agencies of a plan know the alert by ids of their own."""
    agencies = {delivery.agency for delivery in planned.deliveries if delivery.agency is not None}
    if reporter is not None:
        agencies.add(reporter)
    key = desk.keys.secret("pairwise")
    await alert_rows.add_handles(
        session,
        [
            {
                "handle": pairwise(key, alert_id, agency),
                "alert_id": alert_id,
                "agency_id": agency,
                "is_reporter": "y" if agency == reporter else "n",
                "received_at": received_at,
            }
            for agency in agencies
        ],
    )


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
