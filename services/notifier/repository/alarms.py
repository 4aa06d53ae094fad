"""Alarms, open and past: silent first ways, and breached acts, in one list."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, and_, exists, func, literal, or_, select, text, union_all

from common.db import Session
from notifier.domain.schedule import BY_ORDER, ORDER, Urgency
from notifier.models import (
    alert_handles,
    alerts,
    breaches,
    deliveries,
    endpoint_versions,
    escalations,
    obligations,
)
from notifier.models.deliveries import ALARMED, ESCALATED
from notifier.repository.obligations import UNMET

SILENCE, BREACH = "silence", "breach"
OVER = ("acknowledged", "cancelled", "superseded")
"""States of a first way that nobody must do anything about any more."""
OF_BREACHES = Urgency.URGENT
"""A breached act has no time left of its own; its alarm is as urgent as its notice to the body above."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which alarms are asked for.

    Attributes:
        is_open: those that need somebody now, oldest deadline first; else past ones, newest first.
        agency_id: silent itself, or owner of the breach.
        seen_by: only what this agency is a party to: silent, owner, or told as the body above.
        known_to: only of alerts that this agency knows.
        hidden: alerts that it may not see.
    """

    is_open: bool
    agency_id: UUID | None = None
    urgency: Urgency | None = None
    seen_by: UUID | None = None
    known_to: UUID | None = None
    hidden: Collection[UUID] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """An alarm's place in the list."""

    kind: str
    id: UUID
    key: datetime


async def list_alarms(
    session: Session, asked: Asked, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[Found]:
    """Alarms in their order, whatever their kind."""
    found = union_all(_silences(asked), _breaches(asked)).subquery("alarms")
    query = select(found.c.kind, found.c.id, found.c.key).limit(limit)
    if asked.is_open:
        query = query.order_by(found.c.key, found.c.id)
    else:
        query = query.order_by(found.c.key.desc(), found.c.id.desc())
    if after is not None:
        moment, last = after
        further = found.c.key > moment if asked.is_open else found.c.key < moment
        beyond = found.c.id > last if asked.is_open else found.c.id < last
        query = query.where(or_(further, and_(found.c.key == moment, beyond)))
    return [Found(row[0], row[1], row[2]) for row in (await session.execute(query)).all()]


def _silences(asked: Asked) -> Any:
    begun = func.coalesce(deliveries.c.silent_since, deliveries.c.planned_at)
    key = func.coalesce(deliveries.c.deadline_at, begun) if asked.is_open else begun
    query = select(literal(SILENCE, String).label("kind"), deliveries.c.id, key.label("key")).where(
        *([text(ALARMED)] if asked.is_open else [text(ESCALATED), deliveries.c.state.in_(OVER)]),
        # What tells of a breach is a part of that alarm.
        ~exists(select(breaches.c.id).where(breaches.c.told_id == deliveries.c.id)),
        *_limits(asked, deliveries.c.alert_id),
    )
    if asked.agency_id is not None:
        query = query.where(deliveries.c.agency_id == asked.agency_id)
    if asked.urgency is not None:
        query = query.where(deliveries.c.urgency == ORDER[asked.urgency])
    if asked.seen_by is not None:
        rung = deliveries.alias("rung")
        told = exists(
            select(rung.c.id).where(rung.c.escalates_id == deliveries.c.id, rung.c.agency_id == asked.seen_by)
        )
        query = query.where(or_(deliveries.c.agency_id == asked.seen_by, told))
    return query


def _breaches(asked: Asked) -> Any:
    unmet = exists(
        select(obligations.c.id).where(
            obligations.c.breach_id == breaches.c.id, obligations.c.state.in_(UNMET)
        )
    )
    query = select(
        literal(BREACH, String).label("kind"),
        breaches.c.id,
        (breaches.c.breached_at if asked.is_open else breaches.c.raised_at).label("key"),
    ).where(unmet if asked.is_open else ~unmet, *_limits(asked, breaches.c.alert_id))
    if asked.agency_id is not None:
        query = query.where(breaches.c.owner_id == asked.agency_id)
    if asked.urgency not in (None, OF_BREACHES):
        query = query.where(literal(value=False))
    if asked.seen_by is not None:
        rung = deliveries.alias("rung_of_breach")
        told = exists(
            select(rung.c.id).where(
                or_(rung.c.id == breaches.c.told_id, rung.c.escalates_id == breaches.c.told_id),
                rung.c.agency_id == asked.seen_by,
            )
        )
        query = query.where(or_(breaches.c.owner_id == asked.seen_by, told))
    return query


def _limits(asked: Asked, alert_id: Any) -> list[ColumnElement[bool]]:
    limits: list[ColumnElement[bool]] = []
    if asked.known_to is not None:
        limits.append(
            exists(
                select(alert_handles.c.handle).where(
                    alert_handles.c.alert_id == alert_id, alert_handles.c.agency_id == asked.known_to
                )
            )
        )
    if asked.hidden:
        limits.append(alert_id.not_in(list(asked.hidden)))
    return limits


@dataclass(frozen=True, slots=True)
class Way:
    """One delivery of a ladder."""

    id: UUID
    alert_id: UUID
    agency_id: UUID | None
    role: str
    rung: int
    escalates_id: UUID | None
    state: str
    reason: str | None
    urgency: Urgency
    deadline_at: datetime | None
    planned_at: datetime
    silent_since: datetime | None
    climb_at: datetime | None
    level: int
    transmitted_at: datetime | None
    acknowledged_at: datetime | None
    channel: str | None


async def list_ways(session: Session, first_ids: Collection[UUID]) -> dict[UUID, list[Way]]:
    """The first ways and everything that was sent for their silence, by first way, in time."""
    if not first_ids:
        return {}
    wanted = list(first_ids)
    query = (
        select(
            deliveries.c.id, deliveries.c.alert_id, deliveries.c.agency_id, deliveries.c.role,
            deliveries.c.rung, deliveries.c.escalates_id, deliveries.c.state, deliveries.c.reason,
            deliveries.c.urgency, deliveries.c.deadline_at, deliveries.c.planned_at,
            deliveries.c.silent_since, deliveries.c.climb_at, deliveries.c.escalation_level.label("level"),
            deliveries.c.transmitted_at, deliveries.c.acknowledged_at,
            endpoint_versions.c.kind.label("channel"),
        )
        .outerjoin(
            endpoint_versions,
            and_(
                endpoint_versions.c.agency_id == deliveries.c.agency_id,
                endpoint_versions.c.endpoint_id == deliveries.c.endpoint_id,
                endpoint_versions.c.version == deliveries.c.endpoint_version,
            ),
        )
        .where(or_(deliveries.c.id.in_(wanted), deliveries.c.escalates_id.in_(wanted)))
        .order_by(deliveries.c.planned_at, deliveries.c.rung, deliveries.c.id)
    )  # fmt: skip
    found: dict[UUID, list[Way]] = {}
    for row in (await session.execute(query)).all():
        values = dict(row._mapping)  # noqa: SLF001  # the documented way to a row's columns by name
        way = Way(**{**values, "urgency": BY_ORDER[row.urgency]})
        found.setdefault(way.escalates_id or way.id, []).append(way)
    return found


@dataclass(frozen=True, slots=True)
class Climbed:
    """A rung as it was climbed; the operator's is called again and again."""

    delivery_id: UUID
    rung: int | None
    climbed_id: UUID | None
    reason: str
    first_at: datetime
    last_at: datetime
    times: int


async def list_climbed(session: Session, first_ids: Collection[UUID]) -> dict[UUID, list[Climbed]]:
    """Every rung of these ladders with how often it was climbed, by first way, in time."""
    if not first_ids:
        return {}
    first = func.min(escalations.c.raised_at)
    query = (
        select(
            escalations.c.delivery_id,
            escalations.c.rung,
            escalations.c.climbed_id,
            escalations.c.reason,
            first,
            func.max(escalations.c.raised_at),
            func.count(),
        )
        .where(escalations.c.delivery_id.in_(list(first_ids)))
        .group_by(
            escalations.c.delivery_id, escalations.c.rung, escalations.c.climbed_id, escalations.c.reason
        )
        .order_by(first, escalations.c.rung)
    )
    found: dict[UUID, list[Climbed]] = {}
    for row in (await session.execute(query)).all():
        found.setdefault(row[0], []).append(Climbed(*row))
    return found


async def list_named(
    session: Session, *, carried_by: Collection[UUID], breached_in: Collection[UUID]
) -> dict[UUID, list[Any]]:
    """The duties of these first ways and of these breaches, strictest first."""
    result = await session.execute(
        select(obligations)
        .where(
            or_(
                obligations.c.delivery_id.in_(list(carried_by)),
                obligations.c.breach_id.in_(list(breached_in)),
            )
        )
        .order_by(obligations.c.due_at.is_(None), obligations.c.due_at, obligations.c.rule)
    )
    found: dict[UUID, list[Any]] = {}
    for row in result.all():
        if row.delivery_id in carried_by:
            found.setdefault(row.delivery_id, []).append(row._mapping)  # noqa: SLF001  # the documented way to columns by name
        if row.breach_id in breached_in:
            found.setdefault(row.breach_id, []).append(row._mapping)  # noqa: SLF001  # as above
    return found


async def list_raised(session: Session, ids: Sequence[UUID]) -> dict[UUID, Any]:
    """These breaches as they are stored."""
    if not ids:
        return {}
    result = await session.execute(select(breaches).where(breaches.c.id.in_(list(ids))))
    return {row.id: row for row in result.all()}


async def list_numbers(session: Session, alert_ids: Collection[UUID]) -> dict[UUID, str]:
    """Short numbers of these alerts."""
    if not alert_ids:
        return {}
    rows = await session.execute(select(alerts.c.id, alerts.c.number).where(alerts.c.id.in_(list(alert_ids))))
    return {row[0]: row[1] for row in rows.all()}
