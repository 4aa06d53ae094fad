"""Deliveries outside the hot path: planned, routed, rerouted, opened."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, and_, bindparam, case, func, insert, select, update

from common.bulk import Rows, insert_later
from common.db import Session, lock_due
from notifier.domain.delivery import FINAL, WITHOUT_A_WAY, Fact, Outcome, Reason, State, states_before
from notifier.domain.escalation import Rung
from notifier.domain.roster import is_passed_over
from notifier.models import attempts, deliveries, endpoint_versions, endpoints, notices
from notifier.repository.claims import Moved
from notifier.repository.directory import best_first


async def add_deliveries(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store new deliveries; the unique key decides that none is stored twice."""
    insert_later(session, deliveries, rows)


async def add_notices(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store the rendered notices: stable bytes."""
    insert_later(session, notices, rows)


async def add_attempts(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store attempts, before the first byte of any of them is sent."""
    insert_later(session, attempts, rows)


async def last_numbers(session: Session, alert_id: UUID) -> dict[UUID, int]:
    """Highest notice number of this alert, by agency."""
    result = await session.execute(
        select(deliveries.c.agency_id, func.max(deliveries.c.notice_no))
        .where(deliveries.c.alert_id == alert_id, deliveries.c.agency_id.is_not(None))
        .group_by(deliveries.c.agency_id)
    )
    return {row[0]: row[1] for row in result.all()}


async def list_without_route(session: Session) -> list[UUID]:
    """Alerts that have a delivery waiting because nobody holds its role."""
    result = await session.scalars(
        select(deliveries.c.alert_id)
        .where(
            deliveries.c.agency_id.is_(None),
            deliveries.c.endpoint_id.is_(None),
            deliveries.c.state == State.WAITING,
        )
        .distinct()
    )
    return [alert_id for alert_id in result.all() if alert_id is not None]


async def give_route(session: Session, delivery_id: UUID, values: Mapping[str, Any]) -> bool:
    """Address a delivery that had no holder; ``False`` when another worker did."""
    result = await session.execute(
        update(deliveries)
        .where(
            deliveries.c.id == delivery_id,
            deliveries.c.state == State.WAITING,
            deliveries.c.agency_id.is_(None),
        )
        .values(**values)
        .returning(deliveries.c.id)
    )
    return result.first() is not None


async def change_endpoint_version(session: Session, agency_id: UUID, endpoint_id: UUID, version: int) -> None:
    """Let what waits for an endpoint go to its newest version."""
    await session.execute(
        update(deliveries)
        .where(
            deliveries.c.endpoint_id == endpoint_id,
            deliveries.c.agency_id == agency_id,
            deliveries.c.state == State.WAITING,
            deliveries.c.endpoint_version < version,
        )
        .values(endpoint_version=version)
    )


async def push_to_endpoint(
    session: Session, agency_id: UUID, endpoint_id: UUID, version: int, *, rung: int, now: datetime
) -> list[UUID]:
    """Send through a new endpoint what waits on its rung without one; returns those deliveries."""
    result = await session.execute(
        update(deliveries)
        .where(
            deliveries.c.agency_id == agency_id,
            deliveries.c.endpoint_id.is_(None),
            _is_on(rung),
            deliveries.c.state == State.WAITING,
            deliveries.c.reason.in_(list(WITHOUT_A_WAY)),
        )
        .values(endpoint_id=endpoint_id, endpoint_version=version, reason=Reason.NEW, next_wakeup_at=now)
        .returning(deliveries.c.id)
    )
    return list(result.scalars().all())


async def find_ways(
    session: Session, delivery_ids: Collection[UUID], *, now: datetime
) -> dict[UUID, tuple[UUID, int]]:
    """Endpoint and version by which each of these can be sent now: of its agency, on its rung, not paused.

    Of several its own, else the one that planning or a climb would choose now; a delivery without any is
    not in the answer.
    """
    result = await session.execute(
        select(
            deliveries.c.id,
            endpoints.c.id,
            endpoints.c.version,
            deliveries.c.endpoint_id,
            endpoint_versions.c.rung,
            endpoint_versions.c.hours,
        )
        .join(endpoints, endpoints.c.agency_id == deliveries.c.agency_id)
        .join(
            endpoint_versions,
            and_(
                endpoint_versions.c.agency_id == endpoints.c.agency_id,
                endpoint_versions.c.endpoint_id == endpoints.c.id,
                endpoint_versions.c.version == endpoints.c.version,
                endpoint_versions.c.rung
                == case((deliveries.c.rung == Rung.SUPERIOR, 0), else_=deliveries.c.rung),
            ),
        )
        .where(
            deliveries.c.id.in_(list(delivery_ids)),
            endpoints.c.revoked_at.is_(None),
            endpoints.c.paused_at.is_(None),
        )
        .order_by(*best_first())
    )
    found: dict[UUID, tuple[UUID, int]] = {}
    # The order of the query stays among equals.
    for row in sorted(result.all(), key=lambda row: (row[3] != row[1], is_passed_over(row[4], row[5], now))):
        found.setdefault(row[0], (row[1], row[2]))
    return found


_FOUND = Rows("found", deliveries.c.id, deliveries.c.endpoint_id, deliveries.c.endpoint_version)


async def give_ways(session: Session, ways: Mapping[UUID, tuple[UUID, int]], *, now: datetime) -> None:
    """Let each of these, which this transaction has locked, be sent through its endpoint, due now."""
    await _FOUND.execute(session, _give_ways, [(one, *way) for one, way in ways.items()], now=now)


@cache
def _give_ways(dialect: str) -> Executable:
    found = _FOUND.table(dialect)
    return (
        update(deliveries)
        .where(
            deliveries.c.id == found.c.id,
            deliveries.c.state == State.WAITING,
            deliveries.c.endpoint_id.is_(None),
        )
        .values(
            endpoint_id=found.c.endpoint_id,
            endpoint_version=found.c.endpoint_version,
            reason=Reason.NEW,
            next_wakeup_at=bindparam("now", type_=deliveries.c.next_wakeup_at.type),
        )
    )


def _is_on(rung: int) -> Any:
    """Rows for the way of this rung; a superior body is told by its first way."""
    return deliveries.c.rung.in_([Rung.FIRST, Rung.SUPERIOR]) if rung == 0 else deliveries.c.rung == rung


async def take_from_endpoint(
    session: Session, endpoint_id: UUID, *, to: tuple[UUID, int] | None, now: datetime
) -> list[UUID]:
    """Move what an endpoint still had to another one, or let it wait, blocked; returns which.

    A leased one loses its fence: whatever its worker brings back is written to the attempt only,
    unless the agency took it.
    """
    state = State.WAITING
    values: dict[str, Any] = {"state": state, "claim_token": None, "next_wakeup_at": now}
    if to is None:
        values |= {"endpoint_id": None, "endpoint_version": None, "reason": Reason.ENDPOINT_REVOKED}
    else:
        values |= {"endpoint_id": to[0], "endpoint_version": to[1], "reason": Reason.NEW}
    result = await session.execute(
        update(deliveries)
        .where(
            deliveries.c.endpoint_id == endpoint_id,
            deliveries.c.state.in_(states_before(Fact.ROUTE_LOST)),
            # A test is of its endpoint alone, and ends with it.
            deliveries.c.is_test.is_(False),
        )
        .values(**values)
        .returning(deliveries.c.id)
    )
    moved = list(result.scalars().all())
    ended = await session.execute(
        update(deliveries)
        .where(
            deliveries.c.endpoint_id == endpoint_id,
            deliveries.c.is_test.is_(True),
            deliveries.c.state == State.LEASED,
        )
        .values(state=State.DEAD, claim_token=None, next_wakeup_at=None)
        .returning(deliveries.c.id)
    )
    cut = moved + list(ended.scalars().all())
    if cut:
        # Whoever still holds one corrects this when it knows better.
        await session.execute(
            update(attempts)
            .where(attempts.c.delivery_id.in_(cut), attempts.c.outcome.is_(None))
            .values(outcome=Outcome.LEASE_EXPIRED, ended_at=now)
        )
    return moved


async def block_paused(session: Session, endpoint_id: UUID, *, wakeups: Mapping[int, datetime]) -> int:
    """Let what waits for a paused endpoint wait without one; returns how many.

    What is being sent goes on; should it fail, the next claim finds the pause.

    Args:
        wakeups: next alarm by stored urgency: the legal clock runs, and silence climbs, during a pause.
    """
    result = await session.execute(
        update(deliveries)
        .where(deliveries.c.endpoint_id == endpoint_id, deliveries.c.state == State.WAITING)
        .values(
            endpoint_id=None,
            endpoint_version=None,
            reason=Reason.PAUSED,
            held_at=None,
            next_wakeup_at=case(dict(wakeups), value=deliveries.c.urgency),
        )
        .returning(deliveries.c.id)
    )
    return len(result.all())


async def mark_opened(session: Session, delivery_id: UUID, *, at: datetime) -> Moved | None:
    """Note the first time the content was read; ``None`` when it was before, or there is no such delivery."""
    result = await session.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.opened_at.is_(None))
        .values(opened_at=at)
        .returning(
            deliveries.c.id,
            deliveries.c.alert_id,
            deliveries.c.agency_id,
            deliveries.c.role,
            deliveries.c.rung,
            deliveries.c.escalates_id,
        )
    )
    row = result.first()
    return None if row is None else Moved(row[0], row[1], row[2], row[3], at, row[4], row[5])


async def take_back(
    session: Session, delivery_id: UUID, values: Mapping[str, Any], *, at: datetime
) -> tuple[Moved, datetime] | None:
    """Undo a transmission that nobody has opened or answered; also says when it had been made."""
    found = (
        await session.execute(
            select(deliveries)
            .where(
                deliveries.c.id == delivery_id,
                deliveries.c.state.in_(states_before(Fact.BOUNCED)),
                deliveries.c.opened_at.is_(None),
            )
            .with_for_update()
        )
    ).first()
    if found is None:
        return None
    await set_delivery(session, delivery_id, values)
    moved = Moved(
        delivery_id, found.alert_id, found.agency_id, found.role, at, found.rung, found.escalates_id
    )
    return moved, found.transmitted_at


async def close_attempt(
    session: Session, delivery_id: UUID, attempt: int, outcome: str, *, at: datetime
) -> None:
    """End an attempt that nobody else will end."""
    await session.execute(
        update(attempts)
        .where(attempts.c.delivery_id == delivery_id, attempts.c.no == attempt, attempts.c.outcome.is_(None))
        .values(outcome=outcome, ended_at=at)
    )


async def set_delivery(session: Session, delivery_id: UUID, values: Mapping[str, Any]) -> None:
    """Change one delivery that this transaction has locked."""
    await session.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(**values))


async def add_delivery(session: Session, row: Mapping[str, Any]) -> None:
    """Store one delivery."""
    await session.execute(insert(deliveries).values(**row))


@dataclass(frozen=True, slots=True)
class Unrouted:
    """A delivery whose role nobody held."""

    id: UUID
    role: str
    bodies: tuple[str, ...]
    urgency: int
    deadline: datetime | None


async def lock_of_alert(session: Session, alert_id: UUID) -> None:
    """All that may still change of an alert's deliveries, locked in one order until the transaction ends."""
    query = (
        select(deliveries.c.id)
        .where(deliveries.c.alert_id == alert_id, deliveries.c.state.not_in(list(FINAL)))
        .order_by(deliveries.c.id)
        .with_for_update()
    )
    await session.execute(query)


async def lock_unrouted(session: Session, alert_id: UUID) -> list[Unrouted]:
    """Deliveries of an alert without an agency."""
    query = select(
        deliveries.c.id,
        deliveries.c.role,
        deliveries.c.bodies,
        deliveries.c.urgency,
        deliveries.c.deadline_at,
    ).where(
        deliveries.c.alert_id == alert_id,
        deliveries.c.agency_id.is_(None),
        deliveries.c.state == State.WAITING,
    )
    rows: Sequence[Any] = (await session.execute(lock_due(query))).all()
    return [Unrouted(row[0], row[1], tuple(row[2]), row[3], row[4]) for row in rows]


async def cancel(session: Session, delivery_id: UUID) -> bool:
    """End a delivery that was never sent; ``False`` when it cannot be."""
    result = await session.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state.in_(states_before(Fact.CANCELLED)))
        .values(state=State.CANCELLED, reason=None, next_wakeup_at=None)
        .returning(deliveries.c.id)
    )
    return result.first() is not None
