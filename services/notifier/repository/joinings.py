"""Joined alerts: the pairs, and what hangs together by them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, or_, select, update

from common.db import Session, insert_ignore
from common.ids import new_id
from notifier.domain.joining import Pair
from notifier.models import alert_groups, alerts, joinings, turns

_ONLY = 1


@dataclass(frozen=True, slots=True)
class Joining:
    """What was decided last of two alerts."""

    id: UUID
    low_id: UUID
    high_id: UUID
    state: str
    agency_id: UUID
    decided_at: datetime


_JOINING = (
    joinings.c.id, joinings.c.low_id, joinings.c.high_id, joinings.c.state, joinings.c.agency_id,
    joinings.c.decided_at,
)  # fmt: skip


async def take_turn(session: Session) -> int:
    """Wait until nobody else changes who may know of what; the number grows with every turn.

    Before every other lock of the transaction.
    """
    await insert_ignore(session, turns, [{"id": _ONLY, "no": 0}], ["id"])
    found = await session.execute(
        update(turns).where(turns.c.id == _ONLY).values(no=turns.c.no + 1).returning(turns.c.no)
    )
    return int(found.scalar_one())


async def find_joining(session: Session, pair: Pair) -> Joining | None:
    """What stands of a pair."""
    query = select(*_JOINING).where(joinings.c.low_id == pair[0], joinings.c.high_id == pair[1])
    row = (await session.execute(query)).first()
    return None if row is None else Joining(*tuple(row))


async def decide(session: Session, pair: Pair, state: str, agency_id: UUID, *, at: datetime) -> Joining:
    """Write what was decided of a pair; the turn must be held."""
    values = {"state": state, "agency_id": agency_id, "decided_at": at}
    known = await find_joining(session, pair)
    joining_id = new_id() if known is None else known.id
    if known is None:
        row = {"id": joining_id, "low_id": pair[0], "high_id": pair[1], **values}
        await session.execute(insert(joinings).values(**row))
    else:
        await session.execute(update(joinings).where(joinings.c.id == joining_id).values(**values))
    return Joining(joining_id, *pair, state, agency_id, at)


async def members_of(session: Session, alert_ids: Collection[UUID]) -> set[UUID]:
    """These alerts and all that hang together with them."""
    heads = select(alert_groups.c.head_id).where(alert_groups.c.alert_id.in_(list(alert_ids)))
    found = await session.scalars(select(alert_groups.c.alert_id).where(alert_groups.c.head_id.in_(heads)))
    return set(found) | set(alert_ids)


async def pairs_of(session: Session, alert_ids: Collection[UUID]) -> list[Pair]:
    """Joined pairs in which one of these alerts is."""
    some = list(alert_ids)
    found = await session.execute(
        select(joinings.c.low_id, joinings.c.high_id).where(
            joinings.c.state == "joined", or_(joinings.c.low_id.in_(some), joinings.c.high_id.in_(some))
        )
    )
    return [(row[0], row[1]) for row in found.all()]


async def received_at(session: Session, alert_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """When each of these alerts was received."""
    found = await session.execute(
        select(alerts.c.id, alerts.c.received_at).where(alerts.c.id.in_(list(alert_ids)))
    )
    return {row[0]: row[1] for row in found.all()}


async def put_heads(session: Session, heads: Mapping[UUID, UUID]) -> None:
    """Write what hangs together: for each of these alerts its head, none for one that stands alone."""
    await session.execute(delete(alert_groups).where(alert_groups.c.alert_id.in_(list(heads))))
    shared = {head for alert, head in heads.items() if alert != head}
    rows = [{"alert_id": alert, "head_id": head} for alert, head in heads.items() if head in shared]
    if rows:
        await session.execute(insert(alert_groups), rows)
