"""The overdue scan: rows whose time has come, for sending or for the silence that follows it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, Select, bindparam, select, text, update

from common.bulk import Rows
from common.db import Session, lock_due
from notifier.domain.delivery import WITHOUT_A_WAY, Outcome, Reason, State
from notifier.domain.schedule import BY_ORDER, Urgency
from notifier.models import attempts, deliveries
from notifier.models.deliveries import CLIMBING, WATCHED
from notifier.repository.among import ALL, Among


@dataclass(frozen=True, slots=True)
class Overdue:
    """A delivery whose wake-up time passed and that no worker can simply send."""

    delivery_id: UUID
    alert_id: UUID | None
    agency_id: UUID | None
    role: str
    bodies: tuple[str, ...]
    state: State
    reason: Reason | None
    urgency: Urgency
    attempt: int
    token: UUID | None
    escalation_level: int
    endpoint_id: UUID | None
    deadline: datetime | None
    is_test: bool
    notice_no: int
    rung: int
    escalates_id: UUID | None
    planned_at: datetime
    silent_since: datetime | None
    traceparent: str | None

    @property
    def lacks_a_way(self) -> bool:
        """Whether it waits because its agency had no way to it when that was looked at."""
        return self.state is State.WAITING and self.endpoint_id is None and self.reason in WITHOUT_A_WAY

    @property
    def is_being_sent(self) -> bool:
        """Whether a worker has it or will claim it."""
        return self.state is State.LEASED or (self.state is State.WAITING and self.endpoint_id is not None)


async def find_overdue(
    session: Session, *, is_leased: bool, now: datetime, among: Among, limit: int
) -> list[UUID]:
    """Rows that ``lock_overdue`` would lock: spares the writers' lock when there are none."""
    found = await session.scalars(
        _overdue(deliveries.c.id, is_leased=is_leased, now=now, among=among, limit=limit)
    )
    return list(found.all())


async def lock_overdue(
    session: Session, *, is_leased: bool, now: datetime, limit: int, among: Among = ALL
) -> list[Overdue]:
    """Rows whose wake-up time passed: leased ones, or those that are transmitted or without an endpoint."""
    return await _lock(session, _overdue(*_OVERDUE, is_leased=is_leased, now=now, among=among, limit=limit))


def _overdue(*columns: Any, is_leased: bool, now: datetime, among: Among, limit: int) -> Select[Any]:
    leased = deliveries.c.state == State.LEASED
    return (
        select(*columns)
        .where(
            text(f"({WATCHED})"),  # as the index says it
            leased if is_leased else ~leased,
            deliveries.c.next_wakeup_at <= now,
            *among.of(deliveries.c.id),
        )
        .order_by(deliveries.c.next_wakeup_at)
        .limit(limit)
    )


_LOST = Rows("lost", attempts.c.delivery_id, attempts.c.no)


async def give_back(session: Session, rows: Sequence[Overdue], *, now: datetime) -> None:
    """Leases that ran out, locked by the caller: their attempts end as unknown, they wait and are due."""
    if not rows:
        return
    lost = [(row.delivery_id, row.attempt) for row in rows]
    await _LOST.execute(session, _end_lost, lost, now=now)
    await _LOST.execute(session, _let_go, lost, now=now)


@cache
def _end_lost(dialect: str) -> Executable:
    lost = _LOST.table(dialect)
    return (
        update(attempts)
        .where(
            attempts.c.delivery_id == lost.c.delivery_id,
            attempts.c.no == lost.c.no,
            attempts.c.outcome.is_(None),
        )
        .values(outcome=Outcome.LEASE_EXPIRED, ended_at=bindparam("now", type_=attempts.c.ended_at.type))
    )


@cache
def _let_go(dialect: str) -> Executable:
    lost = _LOST.table(dialect)
    return (
        update(deliveries)
        .where(deliveries.c.id.in_(select(lost.c.delivery_id)), deliveries.c.state == State.LEASED)
        .values(
            state=State.WAITING,
            reason=Reason.UNKNOWN_OUTCOME,
            claim_token=None,
            next_wakeup_at=bindparam("now", type_=deliveries.c.next_wakeup_at.type),
        )
    )


async def find_silent(session: Session, *, now: datetime, among: Among, limit: int) -> list[UUID]:
    """Rows that ``lock_silent`` would lock."""
    found = await session.scalars(_silent(deliveries.c.id, now=now, among=among, limit=limit))
    return list(found.all())


async def lock_silent(session: Session, *, now: datetime, limit: int, among: Among = ALL) -> list[Overdue]:
    """First ways whose silence is to be looked at, the urgent and the longest waiting first."""
    return await _lock(session, _silent(*_OVERDUE, now=now, among=among, limit=limit))


def _silent(*columns: Any, now: datetime, among: Among, limit: int) -> Select[Any]:
    return (
        select(*columns)
        .where(text(CLIMBING), deliveries.c.climb_at <= now, *among.of(deliveries.c.id))
        .order_by(deliveries.c.climb_at)
        .limit(limit)
    )


async def lock_deliveries(session: Session, ids: Collection[UUID]) -> list[Overdue]:
    """These deliveries, as the overdue scan sees them; those that another transaction holds are left out.

    Whoever must not miss one holds it already, or comes back for those that are not among them.
    """
    if not ids:
        return []
    return await _lock(session, select(*_OVERDUE).where(deliveries.c.id.in_(list(ids))))


_OVERDUE: tuple[Any, ...] = (
    deliveries.c.id,
    deliveries.c.alert_id,
    deliveries.c.agency_id,
    deliveries.c.role,
    deliveries.c.bodies,
    deliveries.c.state,
    deliveries.c.reason,
    deliveries.c.urgency,
    deliveries.c.attempt_no,
    deliveries.c.claim_token,
    deliveries.c.escalation_level,
    deliveries.c.endpoint_id,
    deliveries.c.deadline_at,
    deliveries.c.is_test,
    deliveries.c.notice_no,
    deliveries.c.rung,
    deliveries.c.escalates_id,
    deliveries.c.planned_at,
    deliveries.c.silent_since,
    deliveries.c.traceparent,
)


async def _lock(session: Session, query: Select[Any]) -> list[Overdue]:
    return [
        Overdue(
            delivery_id=row[0],
            alert_id=row[1],
            agency_id=row[2],
            role=row[3],
            bodies=tuple(row[4]),
            state=State(row[5]),
            reason=Reason(row[6]) if row[6] else None,
            urgency=BY_ORDER[row[7]],
            attempt=row[8],
            token=row[9],
            escalation_level=row[10],
            endpoint_id=row[11],
            deadline=row[12],
            is_test=row[13],
            notice_no=row[14],
            rung=row[15],
            escalates_id=row[16],
            planned_at=row[17],
            silent_since=row[18],
            traceparent=row[19],
        )
        for row in (await session.execute(lock_due(query))).all()
    ]
