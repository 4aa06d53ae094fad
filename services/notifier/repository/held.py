"""Deliveries in front of an open breaker: looked at, held back, let go. In bulk."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import Executable, bindparam, func, select, text, update

from common.bulk import Rows
from common.db import Session
from notifier.domain.delivery import Reason
from notifier.domain.schedule import BY_ORDER, Urgency
from notifier.models import deliveries
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


async def release(session: Session, endpoint_ids: Collection[UUID], *, now: datetime) -> None:
    """Let go what was held back for these endpoints: their breakers closed."""
    await session.execute(
        update(deliveries)
        .where(
            deliveries.c.endpoint_id.in_(list(endpoint_ids)),
            text(SENDABLE),
            deliveries.c.reason == Reason.BREAKER_OPEN,
            deliveries.c.next_wakeup_at > now,
        )
        .values(next_wakeup_at=now)
    )
