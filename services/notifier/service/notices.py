"""Renders notices and turns planned deliveries into rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.ids import new_id, pairwise
from notifier.domain.delivery import Reason, State
from notifier.domain.escalation import first_look
from notifier.domain.notice import Notice, NoticeDuty, digest, render_notice
from notifier.domain.planning import PlannedDelivery
from notifier.domain.schedule import ORDER, next_alarm
from notifier.repository.claims import Claimed
from notifier.repository.directory import Route
from notifier.service.desk import Desk
from notifier.service.grants import mint_grant


@dataclass(frozen=True, slots=True)
class Written:
    """Rows of some deliveries, and what to do with them after the commit."""

    deliveries: list[dict[str, Any]]
    notices: list[dict[str, Any]]
    attempts: list[dict[str, Any]]
    claimed: list[Claimed]
    waiting: dict[UUID, list[UUID]]


def content_url(desk: Desk, delivery_id: UUID) -> str:
    """Where the content behind a notice is read."""
    return f"{desk.public_url}/v1/deliveries/{delivery_id}/content"


def receipt_url(desk: Desk, delivery_id: UUID) -> str:
    """Where a notice is answered."""
    return f"{desk.public_url}/v1/deliveries/{delivery_id}/receipt"


def render(
    desk: Desk,
    delivery: PlannedDelivery,
    agency_id: UUID,
    alert_id: UUID,
    duties: Sequence[NoticeDuty],
    *,
    now: datetime,
) -> dict[str, Any]:
    """The row of a delivery's notice: its bytes for good."""
    body = render_notice(
        Notice(
            delivery_id=delivery.id,
            number=delivery.number,
            handle=pairwise(desk.keys.secret("pairwise"), alert_id, agency_id),
            urgency=delivery.urgency,
            duties=duties,
            content_url=content_url(desk, delivery.id),
            grant=mint_grant(
                desk.keys.secret("grant"),
                delivery_id=delivery.id,
                alert_id=alert_id,
                agency_id=agency_id,
                bodies=delivery.bodies,
                now=now,
            ),
            receipt_url=receipt_url(desk, delivery.id),
            sent_at=now,
            silent=delivery.silent,
            breached=delivery.breached,
            change=delivery.change,
        )
    )
    return {"delivery_id": delivery.id, "body": body, "digest": digest(body), "rendered_at": now}


def route_values(
    route: Route | None, delivery: PlannedDelivery, desk: Desk, *, now: datetime
) -> dict[str, Any]:
    """State, reason and wake-up of a delivery that has an agency: pushed at once, or waiting to be pulled."""
    if route is None:
        return {
            "endpoint_id": None,
            "endpoint_version": None,
            "state": State.WAITING,
            "reason": Reason.PULL,
            "next_wakeup_at": next_alarm(tier=desk.tiers[delivery.urgency], now=now),
        }
    if route.paused_at is not None:
        return {
            "endpoint_id": None,
            "endpoint_version": None,
            "state": State.WAITING,
            "reason": Reason.PAUSED,
            "next_wakeup_at": next_alarm(tier=desk.tiers[delivery.urgency], now=now),
        }
    return {
        "endpoint_id": route.endpoint_id,
        "endpoint_version": route.version,
        "state": State.WAITING,
        "reason": Reason.NEW,
        "next_wakeup_at": now,
    }


def silence(desk: Desk, delivery: PlannedDelivery, *, now: datetime) -> dict[str, Any]:
    """The silence of a first way begins; a further rung climbs with its first way."""
    if delivery.escalates is not None:
        return {"silent_since": None, "climb_at": None}
    policy = desk.policies[delivery.urgency]
    return {
        "silent_since": now,
        "climb_at": first_look(policy, since=now, deadline=delivery.deadline),
    }


def write(
    desk: Desk,
    alert_id: UUID,
    planned: Sequence[PlannedDelivery],
    duties: Mapping[UUID, NoticeDuty],
    routes: Mapping[UUID, Route],
    *,
    traceparent: str | None,
    now: datetime,
    promised: Counter[UUID] | None = None,
    may_claim: bool = True,
) -> Written:
    """Rows for new deliveries of an alert.

    What this process can send at once is claimed here, in the planning transaction: its fence and its
    attempt row commit together with the delivery, and no wake-up is needed.

    Args:
        promised: places of each endpoint that this transaction has taken already.
        may_claim: whether this process may send at all what is written here.
    """
    promised = Counter() if promised is None else promised
    written = Written([], [], [], [], {})
    token = new_id()
    for delivery in planned:
        row: dict[str, Any] = {
            "id": delivery.id,
            "alert_id": alert_id,
            "agency_id": delivery.agency,
            "role": delivery.role,
            "bodies": list(delivery.bodies),
            "notice_no": delivery.number,
            "rung": delivery.rung,
            "escalates_id": delivery.escalates,
            "change_id": delivery.change_id,
            **silence(desk, delivery, now=now),
            "generation": 1,
            "urgency": ORDER[delivery.urgency],
            "deadline_at": delivery.deadline,
            "planned_at": now,
            "attempt_no": 0,
            "claim_token": None,
            "escalation_level": 0,
            "is_test": False,
            "traceparent": traceparent,
        }
        if delivery.agency is None:
            row |= {
                "endpoint_id": None,
                "endpoint_version": None,
                "state": State.WAITING,
                "reason": Reason.NO_ROUTE,
                "escalation_level": 1,
                "next_wakeup_at": next_alarm(tier=desk.tiers[delivery.urgency], now=now),
                "climb_at": now + desk.policies[delivery.urgency].repeat,
            }
            written.deliveries.append(row)
            continue
        carried = [duties[obligation] for obligation in (*delivery.obligations, *delivery.also)]
        notice = render(desk, delivery, delivery.agency, alert_id, carried, now=now)
        written.notices.append(notice)
        route = routes.get(delivery.agency)
        row |= route_values(route, delivery, desk, now=now)
        if route is not None and route.paused_at is None:
            taken = promised[route.endpoint_id]
            if may_claim and desk.lanes.has_room(
                route.endpoint_id, route.concurrency, delivery.urgency, promised=taken
            ):
                promised[route.endpoint_id] += 1
                _claim(desk, delivery, row, route, notice["body"], token, written, now=now)
            else:
                written.waiting.setdefault(route.endpoint_id, []).append(delivery.id)
        written.deliveries.append(row)
    return written


def _claim(
    desk: Desk,
    delivery: PlannedDelivery,
    row: dict[str, Any],
    route: Route,
    body: bytes,
    token: UUID,
    written: Written,
    *,
    now: datetime,
) -> None:
    until = now + desk.tiers[delivery.urgency].lease
    row |= {
        "state": State.LEASED,
        "reason": None,
        "claim_token": token,
        "attempt_no": 1,
        "next_wakeup_at": until,
    }
    written.attempts.append(
        {
            "delivery_id": delivery.id,
            "no": 1,
            "claim_token": token,
            "endpoint_id": route.endpoint_id,
            "endpoint_version": route.version,
            "started_at": now,
        }
    )
    written.claimed.append(
        Claimed(
            delivery_id=delivery.id,
            token=token,
            attempt=1,
            endpoint_id=route.endpoint_id,
            urgency=delivery.urgency,
            deadline=delivery.deadline,
            leased_until=until,
            alert_id=row["alert_id"],
            role=delivery.role,
            traceparent=row["traceparent"],
            concurrency=route.concurrency,
            url=route.url,
            kind=route.kind,
            body=body,
            sealed_keys=route.sealed_keys,
        )
    )
