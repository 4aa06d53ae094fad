"""Rows of the ledger that planning makes; nothing is stored here."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from common.contracts.intake import AlertReceived
from notifier.domain.edition import Edition
from notifier.domain.evaluation import Evaluation
from notifier.domain.facts import Facts
from notifier.domain.notice import NoticeDuty, instant
from notifier.domain.planning import Plan, PlannedDuty, WithheldDuty, next_check
from notifier.domain.schedule import ORDER, Urgency

NOBODY_OBLIGED = "nobody_obliged"
"""The law names nobody for such an alert: an operator must find who helps, it must not lie unseen."""


def facts_row(facts: Facts) -> dict[str, Any]:
    """Facts as they are stored: codes and flags; the time of receipt has a column of its own."""
    fields = {each.name: getattr(facts, each.name) for each in dataclasses.fields(Facts)}
    del fields["received_at"]
    return {**fields, "concerns": sorted(facts.concerns)}


def facts_of(fields: Mapping[str, Any], received_at: datetime) -> Facts:
    """Facts as they were stored."""
    return Facts(received_at=received_at, **{**fields, "concerns": frozenset(fields["concerns"])})


def alert_facts(event: AlertReceived, *, regional_body: bool) -> Facts:
    """Facts as the event tells them."""
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


def alert_row(
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
    """An alert as it is stored once it is planned."""
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
        "is_held": planned.is_held,
        "next_check_at": next_check(
            state=planned.state, dispatch=dispatch, due_at=duty.due_at, breach_at=duty.breach_at
        ),
        "since": since,
    }
