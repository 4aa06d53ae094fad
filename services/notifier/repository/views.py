"""Reads for those who look: deliveries with attempts, duties and receipts; counts; alarms."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import false, func, or_, select

from common.db import Session
from notifier.domain.delivery import OPEN, State
from notifier.domain.schedule import BY_ORDER, Urgency
from notifier.models import (
    alert_handles,
    attempts,
    breaches,
    deliveries,
    escalations,
    notices,
    obligations,
    receipts,
)
from notifier.repository.obligations import UNMET


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One try."""

    no: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    status: int | None


@dataclass(frozen=True, slots=True)
class DutyView:
    """A duty as a delivery carries it."""

    obligation_id: UUID
    rule: str
    citation: Mapping[str, str]
    text: Mapping[str, str]
    due_at: datetime | None
    force: str
    obliged_agency_id: UUID | None
    # A further rung names the duties of its first way, or those of whose breach it tells.
    is_carried: bool = True


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """An answer; ``sealed`` opens for its own agency only."""

    status: str
    at: datetime
    recorded_at: datetime
    is_signed: bool
    means: str
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery with everything that is known of it."""

    id: UUID
    alert_id: UUID | None
    agency_id: UUID | None
    role: str
    notice_no: int
    rung: int
    escalates_id: UUID | None
    generation: int
    state: State
    reason: str | None
    urgency: Urgency
    deadline_at: datetime | None
    planned_at: datetime
    next_wakeup_at: datetime | None
    transmitted_at: datetime | None
    opened_at: datetime | None
    acknowledged_at: datetime | None
    escalation_level: int
    is_test: bool
    traceparent: str | None
    digest: str | None
    body: bytes | None = field(repr=False)
    attempts: tuple[AttemptView, ...]
    duties: tuple[DutyView, ...]
    receipt: ReceiptView | None


@dataclass(frozen=True, slots=True)
class EscalationView:
    """An alarm."""

    delivery_id: UUID
    level: int
    reason: str
    raised_at: datetime


_COLUMNS: tuple[Any, ...] = (
    deliveries.c.id,
    deliveries.c.alert_id,
    deliveries.c.agency_id,
    deliveries.c.role,
    deliveries.c.notice_no,
    deliveries.c.rung,
    deliveries.c.escalates_id,
    deliveries.c.generation,
    deliveries.c.state,
    deliveries.c.reason,
    deliveries.c.urgency,
    deliveries.c.deadline_at,
    deliveries.c.planned_at,
    deliveries.c.next_wakeup_at,
    deliveries.c.transmitted_at,
    deliveries.c.opened_at,
    deliveries.c.acknowledged_at,
    deliveries.c.escalation_level,
    deliveries.c.is_test,
    deliveries.c.traceparent,
)


async def list_of_alert(session: Session, alert_id: UUID) -> list[DeliveryView]:
    """Every delivery of an alert, in the order of planning."""
    query = (
        select(*_COLUMNS)
        .where(deliveries.c.alert_id == alert_id)
        .order_by(deliveries.c.urgency, deliveries.c.planned_at, deliveries.c.role, deliveries.c.id)
    )
    return await _views(session, (await session.execute(query)).all())


@dataclass(frozen=True, slots=True)
class Place:
    """To which alert a delivery belongs; to none for a test notice."""

    alert_id: UUID | None


async def find_place(session: Session, delivery_id: UUID) -> Place | None:
    """Where a delivery belongs, without anything else of it."""
    query = select(deliveries.c.alert_id).where(deliveries.c.id == delivery_id)
    row = (await session.execute(query)).first()
    return None if row is None else Place(row[0])


async def find_delivery(session: Session, delivery_id: UUID) -> DeliveryView | None:
    """One delivery."""
    query = select(*_COLUMNS).where(deliveries.c.id == delivery_id)
    found = await _views(session, (await session.execute(query)).all())
    return found[0] if found else None


async def list_deliveries(
    session: Session,
    *,
    state: str | None,
    agency_id: UUID | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
    with_tests: bool = False,
    hidden: Collection[UUID] = (),
) -> list[DeliveryView]:
    """Deliveries of all alerts but the hidden ones, newest first."""
    query = select(*_COLUMNS).order_by(deliveries.c.planned_at.desc(), deliveries.c.id.desc()).limit(limit)
    # Each endpoint is tested day by day: a test that is over must push no notice off a page.
    tests = deliveries.c.state.in_([*OPEN, State.DEAD]) if with_tests else false()
    query = query.where(or_(deliveries.c.is_test.is_(False), tests))
    if hidden:
        # A test notice belongs to no alert, and a comparison with nothing would hide it.
        query = query.where(or_(deliveries.c.alert_id.is_(None), deliveries.c.alert_id.not_in(list(hidden))))
    if state is not None:
        query = query.where(deliveries.c.state == state)
    if agency_id is not None:
        query = query.where(deliveries.c.agency_id == agency_id)
    if after is not None:
        moment, last = after
        query = query.where(
            or_(
                deliveries.c.planned_at < moment,
                (deliveries.c.planned_at == moment) & (deliveries.c.id < last),
            )
        )
    return await _views(session, (await session.execute(query)).all())


async def _views(session: Session, rows: Sequence[Any]) -> list[DeliveryView]:
    ids = [row.id for row in rows]
    if not ids:
        return []
    tries = await _attempts(session, ids)
    duties = await _duties(session, ids)
    further = {row.id: row.escalates_id or row.id for row in rows if row.rung > 0}
    if further:
        named = await _named(session, set(further.values()))
        for delivery_id, first_id in further.items():
            duties.setdefault(delivery_id, []).extend(named.get(first_id, ()))
    answers = await _receipts(session, ids)
    bodies = await _notices(session, ids)
    return [
        DeliveryView(
            **{
                **row._mapping,  # noqa: SLF001  # the documented way to a row's columns by name
                "state": State(row.state),
                "urgency": BY_ORDER[row.urgency],
            },
            digest=bodies.get(row.id, (None, None))[0],
            body=bodies.get(row.id, (None, None))[1],
            attempts=tuple(tries.get(row.id, ())),
            duties=tuple(duties.get(row.id, ())),
            receipt=answers.get(row.id),
        )
        for row in rows
    ]


async def _attempts(session: Session, ids: Collection[UUID]) -> dict[UUID, list[AttemptView]]:
    result = await session.execute(
        select(
            attempts.c.delivery_id,
            attempts.c.no,
            attempts.c.started_at,
            attempts.c.ended_at,
            attempts.c.outcome,
            attempts.c.status,
        )
        .where(attempts.c.delivery_id.in_(list(ids)))
        .order_by(attempts.c.no)
    )
    found: dict[UUID, list[AttemptView]] = {}
    for row in result.all():
        found.setdefault(row[0], []).append(AttemptView(row[1], row[2], row[3], row[4], row[5]))
    return found


async def _duties(session: Session, ids: Collection[UUID]) -> dict[UUID, list[DutyView]]:
    result = await session.execute(
        select(
            obligations.c.delivery_id,
            obligations.c.id,
            obligations.c.rule,
            obligations.c.citation,
            obligations.c.duty,
            obligations.c.due_at,
            obligations.c.force,
            obligations.c.obliged_agency_id,
        )
        .where(obligations.c.delivery_id.in_(list(ids)))
        .order_by(obligations.c.due_at, obligations.c.rule)
    )
    found: dict[UUID, list[DutyView]] = {}
    for row in result.all():
        found.setdefault(row[0], []).append(DutyView(row[1], row[2], row[3], row[4], row[5], row[6], row[7]))
    return found


async def _named(session: Session, first_ids: Collection[UUID]) -> dict[UUID, list[DutyView]]:
    """What these first ways carry, or tell of as breached."""
    found = {
        first: [replace(duty, is_carried=False) for duty in duties]
        for first, duties in (await _duties(session, first_ids)).items()
    }
    result = await session.execute(
        select(
            breaches.c.told_id,
            obligations.c.id,
            obligations.c.rule,
            obligations.c.citation,
            obligations.c.duty,
            obligations.c.due_at,
            obligations.c.force,
            obligations.c.obliged_agency_id,
        )
        .join(breaches, breaches.c.id == obligations.c.breach_id)
        .where(breaches.c.told_id.in_(list(first_ids)))
        .order_by(obligations.c.due_at, obligations.c.rule)
    )
    for row in result.all():
        found.setdefault(row[0], []).append(DutyView(*row[1:], is_carried=False))
    return found


async def _receipts(session: Session, ids: Collection[UUID]) -> dict[UUID, ReceiptView]:
    result = await session.execute(
        select(
            receipts.c.delivery_id,
            receipts.c.status,
            receipts.c.at,
            receipts.c.received_at,
            receipts.c.is_signed,
            receipts.c.means,
            receipts.c.sealed,
        ).where(receipts.c.delivery_id.in_(list(ids)))
    )
    return {row[0]: ReceiptView(row[1], row[2], row[3], row[4], row[5], row[6]) for row in result.all()}


async def _notices(session: Session, ids: Collection[UUID]) -> dict[UUID, tuple[str, bytes]]:
    result = await session.execute(
        select(notices.c.delivery_id, notices.c.digest, notices.c.body).where(
            notices.c.delivery_id.in_(list(ids))
        )
    )
    return {row[0]: (row[1], row[2]) for row in result.all()}


async def list_escalations(session: Session, alert_id: UUID) -> list[EscalationView]:
    """Every alarm of an alert."""
    result = await session.execute(
        select(escalations.c.delivery_id, escalations.c.level, escalations.c.reason, escalations.c.raised_at)
        .where(escalations.c.alert_id == alert_id)
        .order_by(escalations.c.raised_at)
    )
    return [EscalationView(row[0], row[1], row[2], row[3]) for row in result.all()]


@dataclass(frozen=True, slots=True)
class Tally:
    """How the deliveries of one alert stand."""

    states: Mapping[str, int]
    escalation_level: int
    oldest_unanswered_at: datetime | None


async def tally(
    session: Session, alert_ids: Collection[UUID], *, agency_id: UUID | None
) -> dict[UUID, Tally]:
    """Counts per state for these alerts; with ``agency_id`` over its own deliveries only."""
    query = (
        select(
            deliveries.c.alert_id,
            deliveries.c.state,
            func.count(),
            func.max(deliveries.c.escalation_level),
            func.min(deliveries.c.planned_at),
        )
        .where(deliveries.c.alert_id.in_(list(alert_ids)))
        .group_by(deliveries.c.alert_id, deliveries.c.state)
    )
    if agency_id is not None:
        query = query.where(deliveries.c.agency_id == agency_id)
    states: dict[UUID, dict[str, int]] = {}
    levels: dict[UUID, int] = {}
    oldest: dict[UUID, datetime] = {}
    for alert_id, state, number, level, planned_at in (await session.execute(query)).all():
        states.setdefault(alert_id, {})[state] = number
        levels[alert_id] = max(levels.get(alert_id, 0), level)
        if state in ("waiting", "leased", "transmitted", "dead"):
            oldest[alert_id] = min(oldest.get(alert_id, planned_at), planned_at)
    return {
        alert_id: Tally(found, levels[alert_id], oldest.get(alert_id)) for alert_id, found in states.items()
    }


async def count_owed(
    session: Session, alert_ids: Collection[UUID], agency_id: UUID
) -> dict[UUID, tuple[int, datetime | None]]:
    """How many duties of these alerts an agency still owes, and when the first is due."""
    query = (
        select(obligations.c.alert_id, func.count(), func.min(obligations.c.due_at))
        .where(
            obligations.c.alert_id.in_(list(alert_ids)),
            obligations.c.obliged_agency_id == agency_id,
            obligations.c.state.in_(UNMET),
        )
        .group_by(obligations.c.alert_id)
    )
    return {alert_id: (number, due) for alert_id, number, due in (await session.execute(query)).all()}


async def list_obligations(session: Session, alert_id: UUID) -> list[Mapping[str, Any]]:
    """Every duty of an alert, strictest first."""
    result = await session.execute(
        select(obligations)
        .where(obligations.c.alert_id == alert_id)
        .order_by(obligations.c.due_at.is_(None), obligations.c.due_at, obligations.c.rule)
    )
    return [dict(row._mapping) for row in result.all()]  # noqa: SLF001  # the documented way to columns by name


async def handles_of(session: Session, alert_ids: Collection[UUID], agency_id: UUID) -> dict[UUID, UUID]:
    """Under which ids an agency knows these alerts."""
    result = await session.execute(
        select(alert_handles.c.alert_id, alert_handles.c.handle).where(
            alert_handles.c.agency_id == agency_id, alert_handles.c.alert_id.in_(list(alert_ids))
        )
    )
    return {row[0]: row[1] for row in result.all()}
