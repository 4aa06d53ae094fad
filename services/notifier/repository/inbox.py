"""An agency's inbox: what waits for it, and what it fetched.

Whatever is handed over for the first time gets a place behind all that the agency was handed before, and a
cursor is such a place. Times would not do: transactions commit in another order than they begin, so one that
is stored late lies before a cursor of times, and comes once only even if the answer with it was cut.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, Select, or_, select, text, update

from common.bulk import Rows, insert_new
from common.db import Session
from notifier.domain.delivery import Fact, State, states_before
from notifier.models import deliveries, inbox_places, notices
from notifier.models.deliveries import READABLE
from notifier.repository.claims import Moved

STEP = timedelta(microseconds=1)
"""Between two places that are given out at once."""
BEGIN = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A notice that waits for its agency."""

    delivery_id: UUID
    state: State
    planned_at: datetime
    handed_at: datetime | None
    alert_id: UUID | None
    body: bytes = field(repr=False)


async def lock_places(session: Session, agency_id: UUID) -> datetime:
    """The latest place that was given out; until the commit this session alone gives out places.

    To be asked before deliveries are looked for: who waits here then sees what the one before was given.
    """
    await insert_new(session, inbox_places, [{"agency_id": agency_id, "last_at": BEGIN}], ["agency_id"])
    query = select(inbox_places.c.last_at).where(inbox_places.c.agency_id == agency_id).with_for_update()
    last: datetime = (await session.execute(query)).scalar_one()
    return last


_PLACES = Rows("places", deliveries.c.id, deliveries.c.handed_at)


async def give_places(
    session: Session, agency_id: UUID, items: Sequence[InboxItem], *, last: datetime, now: datetime
) -> list[tuple[datetime, InboxItem]]:
    """The same notices, each with its place; ``last`` as of ``lock_places``.

    A place is the time of its look, or a microsecond after the place before. A mere counter would begin
    anew after a backup was restored, and give out places that agencies have long passed.
    """
    ids = [item.delivery_id for item in items]
    # In the order in which everybody locks several: the worker may be writing results of the same ones.
    await session.execute(
        select(deliveries.c.id).where(deliveries.c.id.in_(ids)).order_by(deliveries.c.id).with_for_update()
    )
    new = [item for item in items if item.handed_at is None]
    first = max(last + STEP, now)
    given = {item.delivery_id: first + no * STEP for no, item in enumerate(new)}
    if given:
        await _PLACES.execute(session, _give_places, list(given.items()))
        await session.execute(
            update(inbox_places)
            .where(inbox_places.c.agency_id == agency_id)
            .values(last_at=max(given.values()))
        )
    return [(item.handed_at or given[item.delivery_id], item) for item in items]


@cache
def _give_places(dialect: str) -> Executable:
    places = _PLACES.table(dialect)
    return update(deliveries).where(deliveries.c.id == places.c.id).values(handed_at=places.c.handed_at)


async def list_inbox(
    session: Session,
    agency_id: UUID,
    *,
    after: datetime | None,
    limit: int,
    hidden: Collection[UUID] = (),
) -> list[InboxItem]:
    """Notices that the agency has not answered, in the order of their places, then those that have none.

    After a place come the later ones and every one that was never handed over. Those of hidden alerts do not.
    """
    query = _unanswered(agency_id, hidden).limit(limit)
    if after is not None:
        query = query.where(
            or_(deliveries.c.handed_at > after, deliveries.c.handed_at.is_(None)),
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
            deliveries.c.handed_at,
            deliveries.c.alert_id,
            notices.c.body,
        )
        .join(notices, notices.c.delivery_id == deliveries.c.id)
        .where(
            deliveries.c.agency_id == agency_id,
            # A further way says nothing new: whoever fetches has the first one.
            text(READABLE),
        )
        .order_by(deliveries.c.handed_at.asc().nulls_last(), deliveries.c.planned_at, deliveries.c.id)
    )
    if hidden:
        # A test notice belongs to no alert, and a comparison with nothing would hide it.
        query = query.where(or_(deliveries.c.alert_id.is_(None), deliveries.c.alert_id.not_in(list(hidden))))
    return query


async def _items(session: Session, query: Select[Any]) -> list[InboxItem]:
    return [
        InboxItem(row[0], State(row[1]), row[2], row[3], row[4], row[5])
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
