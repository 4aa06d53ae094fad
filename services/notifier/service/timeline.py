"""The ordered facts of one alert: who was told when, and what came of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from common.db import Session
from notifier.repository import views
from notifier.repository.breaches import list_of_alert
from notifier.service.breaches import BREACH
from notifier.service.desk import Desk
from notifier.service.reading import Seen, list_deliveries, list_obligations
from notifier.service.standing import list_changes

_ORDER = (
    "alert.received",
    "alert.planned",
    "alert.corrected",
    "alert.withdrawn",
    "alert.unfounded",
    "alert.rerated",
    "alert.released",
    "clock.started",
    "duty.released",
    "duty.waived",
    "delivery.planned",
    "attempt.started",
    "attempt.ended",
    "delivery.transmitted",
    "clock.met",
    "delivery.opened",
    "receipt.recorded",
    "clock.overdue",
    "clock.breached",
    "escalation.raised",
)
"""Sequence of facts that share an instant."""


async def timeline(session: Session, desk: Desk, seen: Seen) -> list[dict[str, Any]]:
    """Facts of the alert that this caller may see, in the order in which they happened."""
    facts: list[dict[str, Any]] = [
        _fact("alert.received", seen.alert.received_at),
        _fact("alert.planned", seen.alert.planned_at, edition=seen.alert.edition),
    ]
    if seen.alert.released_at is not None and seen.viewer.sees_all:
        facts.append(_fact("alert.released", seen.alert.released_at))
    deliveries = await list_deliveries(session, desk, seen)
    for delivery in deliveries:
        facts += _of_delivery(delivery)
    for obligation in await list_obligations(session, desk, seen):
        facts += _of_obligation(obligation)
    for change in await list_changes(session, desk, seen):
        facts.append(_fact(f"alert.{change['change']}", change["at"], no=change["no"]))
    shown: dict[UUID, dict[str, Any]] = {delivery["id"]: delivery for delivery in deliveries}
    for alarm in await views.list_escalations(session, seen.alert.id):
        if alarm.delivery_id in shown:
            delivery = shown[alarm.delivery_id]
            facts.append(
                _fact(
                    "escalation.raised",
                    alarm.raised_at,
                    **_who(delivery),
                    level=alarm.level,
                    reason=alarm.reason,
                )
            )
    for breach in await list_of_alert(session, seen.alert.id):
        if seen.viewer.sees_all or breach.owner_id == seen.viewer.agency:
            facts.append(
                _fact("escalation.raised", breach.raised_at, role=breach.role, level=1, reason=BREACH)
            )
    return sorted(facts, key=lambda fact: (fact["at"], _ORDER.index(fact["kind"])))


def _fact(kind: str, at: datetime, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "at": at, **more}


def _who(delivery: dict[str, Any]) -> dict[str, Any]:
    return {"delivery": delivery["id"], "agency": delivery["agency"], "role": delivery["role"]}


def _of_delivery(delivery: dict[str, Any]) -> list[dict[str, Any]]:
    who = _who(delivery)
    facts = [_fact("delivery.planned", delivery["planned_at"], **who, notice=delivery["notice"])]
    for attempt in delivery["attempts"]:
        facts.append(_fact("attempt.started", attempt.started_at, **who, no=attempt.no))
        if attempt.ended_at is not None:
            ended = {"no": attempt.no, "outcome": attempt.outcome, "status": attempt.status}
            facts.append(_fact("attempt.ended", attempt.ended_at, **who, **ended))
    for kind, name in (("delivery.transmitted", "transmitted_at"), ("delivery.opened", "opened_at")):
        if delivery[name] is not None:
            facts.append(_fact(kind, delivery[name], **who))
    if delivery["receipt"] is not None:
        facts.append(
            _fact(
                "receipt.recorded", delivery["acknowledged_at"], **who, receipt=delivery["receipt"]["status"]
            )
        )
    return facts


def _of_obligation(obligation: dict[str, Any]) -> list[dict[str, Any]]:
    what = {"obligation": obligation["id"], "rule": obligation["rule"]}
    facts = []
    if obligation["state"] != "pending":
        facts.append(_fact("clock.started", obligation["starts_at"], **what, due_at=obligation["due_at"]))
    for kind, name in (
        ("clock.met", "met_at"),
        ("clock.overdue", "alarmed_at"),
        ("clock.breached", "breached_at"),
        ("duty.released", "released_at"),
        ("duty.waived", "waived_at"),
    ):
        if obligation[name] is not None:
            facts.append(_fact(kind, obligation[name], **what))
    return facts
