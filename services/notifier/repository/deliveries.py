"""Deliveries outside the hot path: planning, routes gained and lost, inbox, opening, receipts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, insert, or_, select, tuple_, update

from common.db import Session, insert_ignore
from notifier.domain.delivery import OPEN, Fact, Reason, State, states_before
from notifier.models import attempts, deliveries, endpoint_versions, notices, receipts
from notifier.repository.bulk import insert_rows
from notifier.repository.claims import Moved


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A notice that waits for its agency."""

    delivery_id: UUID
    state: State
    planned_at: datetime
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Addressed:
    """What a receipt is measured against."""

    delivery_id: UUID
    alert_id: UUID | None
    agency_id: UUID | None
    role: str
    state: State
    planned_at: datetime
    transmitted_at: datetime | None
    traceparent: str | None
    digest: str | None
    receipt_key: str | None


async def add_deliveries(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store new deliveries; the unique key decides that none is stored twice."""
    await insert_rows(session, deliveries, rows)


async def add_notices(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store the rendered notices: stable bytes."""
    await insert_rows(session, notices, rows)


async def add_attempts(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store attempts, before the first byte of any of them is sent."""
    await insert_rows(session, attempts, rows)


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
    session: Session, agency_id: UUID, endpoint_id: UUID, version: int, *, now: datetime
) -> list[UUID]:
    """Send through a new endpoint what waits for its agency without one; returns those deliveries."""
    result = await session.execute(
        update(deliveries)
        .where(
            deliveries.c.agency_id == agency_id,
            deliveries.c.endpoint_id.is_(None),
            deliveries.c.state == State.WAITING,
            deliveries.c.reason.in_([Reason.PULL, Reason.ENDPOINT_REVOKED]),
        )
        .values(endpoint_id=endpoint_id, endpoint_version=version, reason=Reason.NEW, next_wakeup_at=now)
        .returning(deliveries.c.id)
    )
    return list(result.scalars().all())


async def take_from_endpoint(
    session: Session, endpoint_id: UUID, *, to: tuple[UUID, int] | None, now: datetime
) -> int:
    """Move what an endpoint still had to another one, or let it wait, blocked; returns how many.

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
        )
        .values(**values)
        .returning(deliveries.c.id)
    )
    return len(result.all())


async def list_inbox(
    session: Session, agency_id: UUID, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[InboxItem]:
    """Notices that the agency has not answered, oldest first.

    After a cursor come the later ones and every one that was never handed over: commits do not happen
    in the order of their times, and a notice must not fall through between two looks.
    """
    query = (
        select(deliveries.c.id, deliveries.c.state, deliveries.c.planned_at, notices.c.body)
        .join(notices, notices.c.delivery_id == deliveries.c.id)
        .where(
            deliveries.c.agency_id == agency_id,
            deliveries.c.state.in_([*OPEN, State.DEAD]),
        )
        .order_by(deliveries.c.planned_at, deliveries.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(
            or_(
                tuple_(deliveries.c.planned_at, deliveries.c.id) > after,
                deliveries.c.transmitted_at.is_(None),
            )
        )
    return [InboxItem(row[0], State(row[1]), row[2], row[3]) for row in (await session.execute(query)).all()]


async def inbox_waits(session: Session, agency_id: UUID) -> bool:
    """Whether something was never handed over."""
    query = select(deliveries.c.id).where(
        deliveries.c.agency_id == agency_id,
        deliveries.c.state.in_(states_before(Fact.PULLED)),
        deliveries.c.transmitted_at.is_(None),
    )
    return (await session.execute(query.limit(1))).first() is not None


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
                deliveries.c.attempt_no,
            )
        )
        moved += [(Moved(row[0], row[1], row[2], row[3], now), row[4], rank) for row in result.all()]
    return moved


async def mark_opened(session: Session, delivery_id: UUID, *, at: datetime) -> Moved | None:
    """Note the first time the content was read; ``None`` when it was before, or there is no such delivery."""
    result = await session.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.opened_at.is_(None))
        .values(opened_at=at)
        .returning(deliveries.c.id, deliveries.c.alert_id, deliveries.c.agency_id, deliveries.c.role)
    )
    row = result.first()
    return None if row is None else Moved(row[0], row[1], row[2], row[3], at)


async def find_addressed(session: Session, delivery_id: UUID) -> Addressed | None:
    """A delivery as a receipt sees it."""
    result = await session.execute(
        select(
            deliveries.c.id,
            deliveries.c.alert_id,
            deliveries.c.agency_id,
            deliveries.c.role,
            deliveries.c.state,
            deliveries.c.planned_at,
            deliveries.c.transmitted_at,
            deliveries.c.traceparent,
            notices.c.digest,
            endpoint_versions.c.receipt_key,
        )
        .outerjoin(notices, notices.c.delivery_id == deliveries.c.id)
        .outerjoin(
            endpoint_versions,
            and_(
                endpoint_versions.c.agency_id == deliveries.c.agency_id,
                endpoint_versions.c.endpoint_id == deliveries.c.endpoint_id,
                endpoint_versions.c.version == deliveries.c.endpoint_version,
            ),
        )
        .where(deliveries.c.id == delivery_id)
    )
    row = result.first()
    if row is None:
        return None
    values = tuple(row)
    return Addressed(*values[:4], State(values[4]), *values[5:])


async def find_receipt(session: Session, delivery_id: UUID) -> tuple[str, bytes] | None:
    """Status and sealed answer of the stored receipt."""
    row = (
        await session.execute(
            select(receipts.c.status, receipts.c.sealed).where(receipts.c.delivery_id == delivery_id)
        )
    ).first()
    return None if row is None else (row[0], row[1])


async def add_receipt(session: Session, row: Mapping[str, Any]) -> bool:
    """Store the receipt; ``False`` when one is there already."""
    return await insert_ignore(session, receipts, [row], ["delivery_id"]) == 1


async def answer(session: Session, delivery_id: UUID, fact: Fact, state: State, *, at: datetime) -> bool:
    """Let a receipt take effect; it also proves transmission when ours was not written yet."""
    result = await session.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state.in_(states_before(fact)))
        .values(
            state=state,
            reason=None,
            claim_token=None,
            next_wakeup_at=None,
            acknowledged_at=at,
            transmitted_at=func.coalesce(deliveries.c.transmitted_at, at),
        )
        .returning(deliveries.c.id)
    )
    return result.first() is not None


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
