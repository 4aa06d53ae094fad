"""Retired bodies, and what of theirs has not passed yet."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, or_, select, union, update

from common.db import Session, insert_ignore, lock_due
from notifier.domain.delivery import State
from notifier.domain.escalation import Rung
from notifier.models import agencies, alert_handles, deliveries, obligations, successions
from notifier.repository.among import ALL, Among
from notifier.repository.obligations import UNMET

UNANSWERED = (State.WAITING, State.LEASED, State.TRANSMITTED, State.DEAD)


@dataclass(frozen=True, slots=True)
class Retired:
    """A body that holds nothing any more."""

    id: UUID
    retired_at: datetime


async def find_retired(session: Session, *, now: datetime, among: Among, limit: int) -> list[UUID]:
    """Bodies that ``lock_retired`` would lock: spares the writers' lock when there are none."""
    found = await session.scalars(_retired(agencies.c.id, now=now, among=among, limit=limit))
    return list(found.all())


async def lock_retired(session: Session, *, now: datetime, limit: int, among: Among = ALL) -> list[Retired]:
    """Retired bodies whose look is due."""
    query = _retired(agencies.c.id, agencies.c.retired_at, now=now, among=among, limit=limit)
    rows: Sequence[Any] = (await session.execute(lock_due(query))).all()
    return [Retired(row.id, row.retired_at) for row in rows]


def _retired(*columns: Any, now: datetime, among: Among, limit: int) -> Select[Any]:
    return (
        select(*columns)
        .where(agencies.c.look_at <= now, agencies.c.retired_at.is_not(None), *among.of(agencies.c.id))
        .order_by(agencies.c.look_at)
        .limit(limit)
    )


async def look_again(session: Session, agency_id: UUID, at: datetime) -> None:
    """When a retired body is looked at next."""
    await session.execute(update(agencies).where(agencies.c.id == agency_id).values(look_at=at))


async def look_now(session: Session, *, now: datetime) -> None:
    """Whoever came may be somebody's successor: every retired body is looked at."""
    await session.execute(
        update(agencies).where(agencies.c.look_at > now, agencies.c.retired_at <= now).values(look_at=now)
    )


async def list_successors(session: Session) -> dict[UUID, UUID]:
    """Who was named in the place of whom."""
    rows = await session.execute(
        select(agencies.c.id, agencies.c.successor_id).where(agencies.c.successor_id.is_not(None))
    )
    return {row[0]: row[1] for row in rows.all()}


async def list_retired(session: Session, agency_ids: Collection[UUID], *, now: datetime) -> set[UUID]:
    """Those of these agencies that hold nothing any more."""
    rows = await session.scalars(
        select(agencies.c.id).where(agencies.c.id.in_(list(agency_ids)), agencies.c.retired_at <= now)
    )
    return set(rows.all())


async def is_placed(session: Session, agency_id: UUID) -> bool:
    """Whether we have heard of an agency, and of the body above it if it has one."""
    above = agencies.alias("above")
    query = (
        select(agencies.c.superior_id, above.c.id)
        .outerjoin(above, above.c.id == agencies.c.superior_id)
        .where(agencies.c.id == agency_id)
    )
    row = (await session.execute(query)).first()
    return row is not None and (row[0] is None or row[1] is not None)


async def list_left(session: Session, agency_id: UUID, roles: Collection[str]) -> list[UUID]:
    """Alerts in which a retired body still owes, waits for something, or coordinates; in one order.

    Args:
        roles: bodies whose place passes even when nothing is owed any more.
    """
    known = select(alert_handles.c.alert_id).where(alert_handles.c.agency_id == agency_id)
    passed = exists(
        select(successions.c.alert_id).where(
            successions.c.alert_id == obligations.c.alert_id,
            successions.c.former_id == agency_id,
            successions.c.role == obligations.c.obliged,
        )
    )
    owed = select(obligations.c.alert_id).where(
        obligations.c.alert_id.in_(known),
        or_(
            obligations.c.obliged_agency_id.is_not_distinct_from(agency_id)
            & (obligations.c.state.in_(UNMET) | (obligations.c.obliged.in_(list(roles)) & ~passed)),
            (obligations.c.recipient_agency_id == agency_id)
            & obligations.c.state.in_(UNMET)
            & obligations.c.delivery_id.is_(None),
        ),
    )
    # A duty whose holder was never told has no name of its alert yet: it is found by who should be told.
    sent = select(deliveries.c.alert_id).where(
        deliveries.c.agency_id == agency_id,
        deliveries.c.alert_id.is_not(None),
        deliveries.c.state.in_(UNANSWERED),
        deliveries.c.rung != Rung.SUPERIOR,
    )
    rows = await session.scalars(union(owed, sent))
    return sorted(rows.all())


async def lock_ways(session: Session, alert_id: UUID, agency_id: UUID) -> list[Any]:
    """What of an alert a retired body was sent and has not answered, except as the body above another."""
    query = (
        select(deliveries.c.id, deliveries.c.role, deliveries.c.rung, deliveries.c.state)
        .where(
            deliveries.c.alert_id == alert_id,
            deliveries.c.agency_id == agency_id,
            deliveries.c.state.in_(UNANSWERED),
            deliveries.c.rung != Rung.SUPERIOR,
        )
        .order_by(deliveries.c.planned_at, deliveries.c.id)
        .with_for_update()
    )
    return list((await session.execute(query)).all())


async def add_successions(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write down who took whose place; the first time counts."""
    await insert_ignore(session, successions, rows, ["alert_id", "former_id", "role"])
