"""Ladders: which rungs of a delivery were climbed, and the ways that answer one silence."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import Executable, func, or_, select, update

from common.bulk import Rows
from common.db import Session
from notifier.domain.delivery import State
from notifier.domain.escalation import Rung
from notifier.models import deliveries, escalations


@dataclass(frozen=True, slots=True)
class Step:
    """One alarm: which rung it climbed and the delivery that it is; an operator has none."""

    delivery_id: UUID
    level: int
    rung: Rung | None
    reason: str
    raised_at: datetime
    climbed_id: UUID | None
    state: str | None


async def list_steps(session: Session, delivery_ids: Collection[UUID]) -> dict[UUID, list[Step]]:
    """Every alarm of these first ways, in its order, by delivery."""
    if not delivery_ids:
        return {}
    result = await session.execute(
        select(
            escalations.c.delivery_id,
            escalations.c.level,
            escalations.c.rung,
            escalations.c.reason,
            escalations.c.raised_at,
            escalations.c.climbed_id,
            deliveries.c.state,
        )
        .outerjoin(deliveries, deliveries.c.id == escalations.c.climbed_id)
        .where(escalations.c.delivery_id.in_(list(delivery_ids)))
        .order_by(escalations.c.level)
    )
    found: dict[UUID, list[Step]] = {}
    for row in result.all():
        rung = None if row[2] is None else Rung(row[2])
        found.setdefault(row[0], []).append(Step(row[0], row[1], rung, row[3], row[4], row[5], row[6]))
    return found


@dataclass(frozen=True, slots=True)
class Way:
    """One way of a silent agency: the first one, or a further rung."""

    delivery_id: UUID
    alert_id: UUID | None
    agency_id: UUID
    role: str
    rung: int
    state: State
    attempt_no: int
    transmitted_at: datetime | None


async def lock_first(session: Session, first_id: UUID) -> None:
    """Wait for whoever climbs this ladder: an answer must not miss a rung that is being climbed."""
    await session.execute(select(deliveries.c.id).where(deliveries.c.id == first_id).with_for_update())


async def lock_firsts(session: Session, delivery_ids: Collection[UUID]) -> None:
    """Wait for whoever holds the first ways of these further rungs, before anything of theirs is changed."""
    firsts = select(deliveries.c.escalates_id).where(
        deliveries.c.id.in_(list(delivery_ids)), deliveries.c.escalates_id.is_not(None)
    )
    query = select(deliveries.c.id).where(deliveries.c.id.in_(firsts)).order_by(deliveries.c.id)
    await session.execute(query.with_for_update())


async def lock_ways(session: Session, first_id: UUID) -> list[Way]:
    """Every way that answers one silence, the first one first; ``lock_first`` or an update came before."""
    result = await session.execute(
        select(
            deliveries.c.id,
            deliveries.c.alert_id,
            deliveries.c.agency_id,
            deliveries.c.role,
            deliveries.c.rung,
            deliveries.c.state,
            deliveries.c.attempt_no,
            deliveries.c.transmitted_at,
        )
        .where(or_(deliveries.c.id == first_id, deliveries.c.escalates_id == first_id))
        .order_by(deliveries.c.rung, deliveries.c.id)
        .with_for_update()
    )
    return [
        Way(row[0], row[1], row[2], row[3], row[4], State(row[5]), row[6], row[7]) for row in result.all()
    ]


async def tell_superiors(session: Session, first_ids: Collection[UUID]) -> set[UUID]:
    """Those of these first ways that tell a superior body of a breach."""
    query = select(deliveries.c.id).where(
        deliveries.c.id.in_(list(first_ids)), deliveries.c.rung == Rung.SUPERIOR
    )
    return set((await session.scalars(query)).all())


async def end_way(
    session: Session, delivery_id: UUID, state: State, *, acknowledged_at: datetime | None
) -> None:
    """End a way that this transaction has locked: another way was answered."""
    await session.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(
            state=state,
            reason=None,
            claim_token=None,
            next_wakeup_at=None,
            acknowledged_at=acknowledged_at,
        )
    )


async def rungs_of(session: Session, delivery_ids: Collection[UUID]) -> Mapping[UUID, frozenset[Rung]]:
    """Rungs that were climbed for these first ways."""
    steps = await list_steps(session, delivery_ids)
    return {
        delivery_id: frozenset(step.rung for step in found if step.rung is not None)
        for delivery_id, found in steps.items()
    }


@dataclass(frozen=True, slots=True)
class Climb:
    """How far a first way has climbed, and when it is looked at again."""

    delivery_id: UUID
    escalation_level: int
    silent_since: datetime
    climb_at: datetime
    next_wakeup_at: datetime | None
    """``None``: it keeps its own."""


_CLIMBS = Rows(
    "climbs",
    deliveries.c.id,
    deliveries.c.escalation_level,
    deliveries.c.silent_since,
    deliveries.c.climb_at,
    deliveries.c.next_wakeup_at,
)


async def set_climbs(session: Session, climbs: Sequence[Climb]) -> None:
    """Write down what became of silences, all of whose deliveries this transaction has locked."""
    if climbs:
        await _CLIMBS.execute(session, _set_climbs, [astuple(climb) for climb in climbs])


@cache
def _set_climbs(dialect: str) -> Executable:
    climbs = _CLIMBS.table(dialect)
    return (
        update(deliveries)
        .where(deliveries.c.id == climbs.c.id)
        .values(
            escalation_level=climbs.c.escalation_level,
            silent_since=climbs.c.silent_since,
            climb_at=climbs.c.climb_at,
            next_wakeup_at=func.coalesce(climbs.c.next_wakeup_at, deliveries.c.next_wakeup_at),
        )
    )
