"""An agency's inbox: what waits for it, and what it fetched."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, or_, select, tuple_, update

from common.db import Session
from notifier.domain.delivery import OPEN, Fact, State, states_before
from notifier.domain.escalation import OWN
from notifier.models import deliveries, notices
from notifier.repository.claims import Moved


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A notice that waits for its agency."""

    delivery_id: UUID
    state: State
    planned_at: datetime
    alert_id: UUID | None
    body: bytes = field(repr=False)


async def list_inbox(
    session: Session,
    agency_id: UUID,
    *,
    after: tuple[datetime, UUID] | None,
    limit: int,
    hidden: Collection[UUID] = (),
) -> list[InboxItem]:
    """Notices that the agency has not answered, oldest first, without those of hidden alerts.

    After a cursor come the later ones and every one that was never handed over: commits do not happen
    in the order of their times, and a notice must not fall through between two looks.
    """
    query = _unanswered(agency_id, hidden).limit(limit)
    if after is not None:
        query = query.where(
            or_(
                tuple_(deliveries.c.planned_at, deliveries.c.id) > after,
                deliveries.c.transmitted_at.is_(None),
            )
        )
    return await _items(session, query)


async def list_free(
    session: Session, agency_id: UUID, *, limit: int, now: datetime, hidden: Collection[UUID] = ()
) -> list[InboxItem]:
    """Notices that the agency has not answered and that none of its readers works on, oldest first."""
    return await _items(session, _unanswered(agency_id, hidden).where(_is_free(now)).limit(limit))


async def lease_inbox(
    session: Session,
    agency_id: UUID,
    *,
    limit: int,
    now: datetime,
    until: datetime,
    hidden: Collection[UUID] = (),
) -> list[InboxItem]:
    """As ``list_free``, and nobody else gets them that way until then. Two readers never share one."""
    query = _unanswered(agency_id, hidden).where(_is_free(now)).limit(limit)
    items = await _items(session, query.with_for_update(of=deliveries, skip_locked=True))
    await session.execute(
        update(deliveries)
        .where(deliveries.c.id.in_([item.delivery_id for item in items]))
        .values(pulled_until=until)
    )
    return items


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(deliveries.c.pulled_until.is_(None), deliveries.c.pulled_until <= now)


def _unanswered(agency_id: UUID, hidden: Collection[UUID]) -> Select[Any]:
    query = (
        select(
            deliveries.c.id,
            deliveries.c.state,
            deliveries.c.planned_at,
            deliveries.c.alert_id,
            notices.c.body,
        )
        .join(notices, notices.c.delivery_id == deliveries.c.id)
        .where(
            deliveries.c.agency_id == agency_id,
            # A further way says nothing new: whoever fetches has the first one.
            deliveries.c.rung.not_in(OWN),
            deliveries.c.state.in_([*OPEN, State.DEAD]),
        )
        .order_by(deliveries.c.planned_at, deliveries.c.id)
    )
    if hidden:
        # A test notice belongs to no alert, and a comparison with nothing would hide it.
        query = query.where(or_(deliveries.c.alert_id.is_(None), deliveries.c.alert_id.not_in(list(hidden))))
    return query


async def _items(session: Session, query: Select[Any]) -> list[InboxItem]:
    return [
        InboxItem(row[0], State(row[1]), row[2], row[3], row[4])
        for row in (await session.execute(query)).all()
    ]


async def mark_pulled(
    session: Session, ids: Collection[UUID], *, now: datetime, wakeups: Mapping[int, datetime]
) -> list[tuple[Moved, int, int]]:
    """Note that the authenticated agency fetched these notices.

    Args:
        wakeups: next alarm by stored urgency.

    Returns:
        What is transmitted by it, with the number of the attempt and the stored urgency.
    """
    moved = []
    for rank, wakeup in wakeups.items():
        result = await session.execute(
            update(deliveries)
            .where(
                deliveries.c.id.in_(list(ids)),
                deliveries.c.urgency == rank,
                deliveries.c.state.in_(states_before(Fact.PULLED)),
            )
            .values(
                state=State.TRANSMITTED,
                reason=None,
                claim_token=None,
                attempt_no=deliveries.c.attempt_no + 1,
                transmitted_at=now,
                next_wakeup_at=wakeup,
            )
            .returning(
                deliveries.c.id,
                deliveries.c.alert_id,
                deliveries.c.agency_id,
                deliveries.c.role,
                deliveries.c.rung,
                deliveries.c.escalates_id,
                deliveries.c.attempt_no,
            )
        )
        moved += [
            (Moved(row[0], row[1], row[2], row[3], now, row[4], row[5]), row[6], rank) for row in result.all()
        ]
    return moved
