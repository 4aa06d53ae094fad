"""Deliveries before anybody claims them: found due, looked at, held back by a breaker, let go. In bulk."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from sqlalchemy import Executable, and_, bindparam, exists, func, not_, or_, select, text, update

from common.bulk import Rows
from common.db import Session
from notifier.domain.delivery import Outcome, Reason
from notifier.domain.schedule import BY_ORDER, ORDER, Urgency
from notifier.models import attempts, deliveries
from notifier.models.deliveries import SENDABLE


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that waits for its turn, as its lane looks at it before claiming."""

    delivery_id: UUID
    endpoint_id: UUID
    urgency: Urgency
    attempts: int
    deadline: datetime | None
    held_at: datetime | None


async def look(session: Session, ids: Collection[UUID], *, now: datetime) -> list[Due]:
    """Those of ``ids`` that are due, urgent first, then what nobody has tried; for lanes that must choose."""
    result = await session.execute(
        select(
            deliveries.c.id,
            deliveries.c.endpoint_id,
            deliveries.c.urgency,
            deliveries.c.attempt_no,
            deliveries.c.deadline_at,
            deliveries.c.held_at,
        )
        .where(deliveries.c.id.in_(list(ids)), text(SENDABLE), deliveries.c.next_wakeup_at <= now)
        .order_by(deliveries.c.urgency, deliveries.c.attempt_no > 0, deliveries.c.next_wakeup_at)
    )
    return [Due(row[0], row[1], BY_ORDER[row[2]], row[3], row[4], row[5]) for row in result.all()]


_HELD = Rows("held", deliveries.c.id, deliveries.c.next_wakeup_at)


async def hold(session: Session, until: Mapping[UUID, datetime], *, now: datetime) -> None:
    """Hold due deliveries back behind an open breaker: seen as blocked, each with its own wake-up."""
    if until:
        await _HELD.execute(session, _hold, list(until.items()), now=now)


@cache
def _hold(dialect: str) -> Executable:
    held = _HELD.table(dialect)
    moment = bindparam("now", type_=deliveries.c.next_wakeup_at.type)
    return (
        update(deliveries)
        .where(deliveries.c.id == held.c.id, text(SENDABLE), deliveries.c.next_wakeup_at <= moment)
        .values(
            reason=Reason.BREAKER_OPEN,
            next_wakeup_at=held.c.next_wakeup_at,
            # Counted from the first time: being held again and again must not add up.
            held_at=func.coalesce(deliveries.c.held_at, moment),
        )
    )


async def release(
    session: Session, endpoint_ids: Collection[UUID], *, now: datetime, rested: timedelta
) -> None:
    """Let everything go that waits for these endpoints: they answer again.

    What an open breaker held back, and what waits for its next try after it failed: a step of a quarter of an
    hour was meant for an endpoint that is away. Not what they asked us to send later (429, 503), and nothing
    that was tried within ``rested``: an endpoint that fails every other time keeps its pauses.
    """
    too_soon = exists().where(
        attempts.c.delivery_id == deliveries.c.id,
        attempts.c.no == deliveries.c.attempt_no,
        or_(attempts.c.outcome == Outcome.THROTTLED, attempts.c.ended_at > now - rested),
    )
    await session.execute(
        update(deliveries)
        .where(
            deliveries.c.endpoint_id.in_(list(endpoint_ids)),
            text(SENDABLE),
            deliveries.c.next_wakeup_at > now,
            or_(
                deliveries.c.reason == Reason.BREAKER_OPEN,
                and_(deliveries.c.reason.in_((Reason.RETRY, Reason.UNKNOWN_OUTCOME)), not_(too_soon)),
            ),
        )
        .values(next_wakeup_at=now)
    )


async def find_sendable(
    session: Session, urgency: Urgency, *, now: datetime, without: Collection[UUID], limit: int,
    is_untried: bool | None = None,
) -> list[tuple[UUID, UUID]]:  # fmt: skip
    """Ids and endpoints of due rows, the longest waiting first, leaving out lanes that are full.

    Args:
        is_untried: only those that were never attempted, or only the others.
    """
    query = (
        select(deliveries.c.id, deliveries.c.endpoint_id)
        .where(text(SENDABLE), deliveries.c.urgency == ORDER[urgency], deliveries.c.next_wakeup_at <= now)
        .order_by(deliveries.c.next_wakeup_at)
        .limit(limit)
    )
    if is_untried is not None:
        query = query.where(deliveries.c.attempt_no == 0 if is_untried else deliveries.c.attempt_no > 0)
    if without:
        query = query.where(deliveries.c.endpoint_id.not_in(list(without)))
    return [(row[0], row[1]) for row in (await session.execute(query)).all()]
