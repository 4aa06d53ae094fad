"""Changes of an alert, versions of its facts, and who was told of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, exists, func, or_, select, text, update

from common.db import Session, insert_ignore
from notifier.domain.delivery import Fact, Outcome, State, states_before
from notifier.models import alerts, attempts, changes, deliveries, fact_versions, obligations
from notifier.models.changes import WAITING
from notifier.repository.among import ALL, Among

_UNSURE = (Outcome.NO_ANSWER, Outcome.LEASE_EXPIRED, Outcome.ACCEPTED, Outcome.PULLED)
"""Attempts after which the agency may have the notice."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of an alert."""

    id: UUID
    alert_id: UUID
    kind: str
    no: int
    at: datetime
    applied_at: datetime | None
    actor: str
    agency_id: UUID | None
    facts: Mapping[str, Any] | None
    routing: bytes | None = field(repr=False)


_CHANGE = (
    changes.c.id,
    changes.c.alert_id,
    changes.c.kind,
    changes.c.no,
    changes.c.at,
    changes.c.applied_at,
    changes.c.actor,
    changes.c.agency_id,
    changes.c.facts,
    changes.c.routing,
)


_TAKE_TURNS = text("SELECT pg_advisory_xact_lock(one) FROM unnest(CAST(:keys AS bigint[])) AS one")


async def take_turns(session: Session, alert_ids: Collection[UUID]) -> None:
    """Wait until nobody else plans one of these alerts, or brings a change of one that is not planned.

    There is no row yet that could be locked. Until the transaction ends; in one order for all.
    """
    if session.get_bind().dialect.name == "sqlite":
        return  # one writer at a time
    keys = sorted(int.from_bytes(one.bytes[:8], signed=True) for one in set(alert_ids))
    await session.execute(_TAKE_TURNS, {"keys": keys})


async def list_overtaking(session: Session, alert_ids: Collection[UUID]) -> set[UUID]:
    """Those of these alerts, planned or not, of whose changes nothing was made yet."""
    query = select(changes.c.alert_id).where(changes.c.alert_id.in_(list(alert_ids)), text(WAITING))
    return set((await session.scalars(query)).all())


async def add_change(session: Session, row: Mapping[str, Any]) -> bool:
    """Keep a change; ``False`` when it was told before."""
    return await insert_ignore(session, changes, [row], ["alert_id", "kind", "no"]) == 1


async def list_changes(session: Session, alert_ids: Collection[UUID]) -> list[Change]:
    """The changes of these alerts, in the order in which they happened."""
    query = (
        select(*_CHANGE)
        .where(changes.c.alert_id.in_(list(alert_ids)))
        .order_by(changes.c.at, changes.c.no, changes.c.id)
    )
    return [Change(*tuple(row)) for row in (await session.execute(query)).all()]


async def last_no(session: Session, alert_id: UUID, kind: str) -> int:
    """The highest number of a kind; 0 when there is none. The alert must be locked."""
    query = select(func.max(changes.c.no)).where(changes.c.alert_id == alert_id, changes.c.kind == kind)
    return (await session.execute(query)).scalar() or 0


async def mark_applied(session: Session, change_id: UUID, *, at: datetime) -> None:
    """It has had its effect."""
    await session.execute(update(changes).where(changes.c.id == change_id).values(applied_at=at))


async def list_waiting(session: Session, *, limit: int, among: Among = ALL) -> list[UUID]:
    """Alerts that are planned by now and have changes of which nothing was made yet."""
    found = await session.scalars(
        select(changes.c.alert_id)
        .join(alerts, alerts.c.id == changes.c.alert_id)
        .where(text(WAITING), *among.of(changes.c.alert_id))
        .distinct()
        .order_by(changes.c.alert_id)
        .limit(limit)
    )
    return list(found.all())


async def add_version(
    session: Session,
    alert_id: UUID,
    *,
    first: Mapping[str, Any],
    received_at: datetime,
    facts: Mapping[str, Any],
    learned_at: datetime,
    change_id: UUID,
) -> None:
    """Keep the next version of an alert's facts, and what it said first when this is the first change."""
    query = select(func.max(fact_versions.c.no)).where(fact_versions.c.alert_id == alert_id)
    last = (await session.execute(query)).scalar()
    rows = []
    if last is None:
        last = 1
        rows.append({"no": 1, "facts": dict(first), "learned_at": received_at, "change_id": None})
    rows.append({"no": last + 1, "facts": dict(facts), "learned_at": learned_at, "change_id": change_id})
    await insert_ignore(
        session, fact_versions, [{"alert_id": alert_id, **row} for row in rows], ["alert_id", "no"]
    )


@dataclass(frozen=True, slots=True)
class Way:
    """A delivery as far as it matters for telling its agency of a change."""

    id: UUID
    agency_id: UUID
    role: str
    bodies: tuple[str, ...]
    urgency: int
    state: State
    rung: int
    is_told: bool


def _maybe_told() -> Any:
    unsure = exists().where(
        attempts.c.delivery_id == deliveries.c.id,
        or_(attempts.c.outcome.is_(None), attempts.c.outcome.in_(_UNSURE)),
    )
    return or_(
        deliveries.c.transmitted_at.is_not(None),
        deliveries.c.opened_at.is_not(None),
        deliveries.c.state.in_((State.LEASED, State.TRANSMITTED, State.ACKNOWLEDGED, State.REJECTED)),
        unsure,
    )


async def list_ways(session: Session, alert_id: UUID) -> list[Way]:
    """Every delivery of an alert to an agency, and whether the agency was told by it, or may have been."""
    query = (
        select(
            deliveries.c.id,
            deliveries.c.agency_id,
            deliveries.c.role,
            deliveries.c.bodies,
            deliveries.c.urgency,
            deliveries.c.state,
            deliveries.c.rung,
            _maybe_told(),
        )
        .where(deliveries.c.alert_id == alert_id, deliveries.c.agency_id.is_not(None))
        .order_by(deliveries.c.notice_no, deliveries.c.rung, deliveries.c.id)
    )
    return [
        Way(row[0], row[1], row[2], tuple(row[3]), row[4], State(row[5]), row[6], bool(row[7]))
        for row in (await session.execute(query)).all()
    ]


async def supersede(session: Session, ids: Collection[UUID]) -> list[UUID]:
    """End those of these deliveries of which nothing was sent for sure; a later notice takes their place."""
    if not ids:
        return []
    result = await session.execute(
        update(deliveries)
        .where(
            deliveries.c.id.in_(list(ids)),
            deliveries.c.state.in_(states_before(Fact.SUPERSEDED)),
            ~_maybe_told(),
        )
        .values(state=State.SUPERSEDED, reason=None, next_wakeup_at=None)
        .returning(deliveries.c.id)
    )
    return list(result.scalars().all())


async def raise_urgency(session: Session, alert_id: UUID, rank: int, *, now: datetime) -> list[UUID]:
    """Let what still waits to be sent go as urgently as ``rank``; nothing is ever lowered."""
    result = await session.execute(
        update(deliveries)
        .where(
            deliveries.c.alert_id == alert_id,
            deliveries.c.state == State.WAITING,
            deliveries.c.urgency > rank,
        )
        .values(
            urgency=rank,
            # What is fetched has no worker: its time to wake is that of its alarm.
            next_wakeup_at=case(
                (deliveries.c.endpoint_id.is_not(None), now), else_=deliveries.c.next_wakeup_at
            ),
        )
        .returning(deliveries.c.id)
    )
    return list(result.scalars().all())


async def carried_by(session: Session, delivery_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """The duties that each of these deliveries carries."""
    result = await session.execute(
        select(obligations.c.delivery_id, obligations.c.id)
        .where(obligations.c.delivery_id.in_(list(delivery_ids)))
        .order_by(obligations.c.id)
    )
    found: dict[UUID, list[UUID]] = {}
    for delivery_id, obligation_id in result.all():
        found.setdefault(delivery_id, []).append(obligation_id)
    return found


async def move_duties(session: Session, former: Collection[UUID], delivery_id: UUID) -> None:
    """Let another delivery carry what these carried."""
    await session.execute(
        update(obligations).where(obligations.c.delivery_id.in_(list(former))).values(delivery_id=delivery_id)
    )


@dataclass(frozen=True, slots=True)
class Told:
    """How one agency stands towards a change."""

    change_id: UUID
    delivery_id: UUID
    agency_id: UUID | None
    role: str
    state: State
    transmitted_at: datetime | None
    acknowledged_at: datetime | None


async def list_told(session: Session, change_ids: Collection[UUID]) -> list[Told]:
    """The notices of these changes, one an agency."""
    if not change_ids:
        return []
    query = (
        select(
            deliveries.c.change_id,
            deliveries.c.id,
            deliveries.c.agency_id,
            deliveries.c.role,
            deliveries.c.state,
            deliveries.c.transmitted_at,
            deliveries.c.acknowledged_at,
        )
        .where(deliveries.c.change_id.in_(list(change_ids)), deliveries.c.rung == 0)
        .order_by(deliveries.c.role, deliveries.c.id)
    )
    return [
        Told(row[0], row[1], row[2], row[3], State(row[4]), row[5], row[6])
        for row in (await session.execute(query)).all()
    ]
