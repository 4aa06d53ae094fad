"""Failures by cause, and redrives of one and of many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, Select, and_, func, select, text, tuple_, update

from common.bulk import Rows
from common.db import Session, insert_ignore, lock_due
from notifier.domain.delivery import Fact, Reason, State, states_before
from notifier.domain.redrive import BLOCKED, RETRYING, Selection, Trouble
from notifier.domain.schedule import BY_ORDER, Urgency
from notifier.models import attempts, deliveries, redrives
from notifier.models.deliveries import TROUBLED

GROUPS = 200
SAMPLE = 10


@dataclass(frozen=True, slots=True)
class Failed:
    """A delivery that somebody may redrive."""

    delivery_id: UUID
    alert_id: UUID | None
    agency_id: UUID | None
    state: State
    reason: Reason | None
    generation: int
    urgency: Urgency
    is_test: bool


_FAILED = (
    deliveries.c.id,
    deliveries.c.alert_id,
    deliveries.c.agency_id,
    deliveries.c.state,
    deliveries.c.reason,
    deliveries.c.generation,
    deliveries.c.urgency,
    deliveries.c.is_test,
)


def _failed(row: Any) -> Failed:
    reason = Reason(row[4]) if row[4] else None
    return Failed(row[0], row[1], row[2], State(row[3]), reason, row[5], BY_ORDER[row[6]], row[7])


async def find_failed(session: Session, delivery_id: UUID) -> Failed | None:
    """One delivery as a redrive sees it."""
    row = (await session.execute(select(*_FAILED).where(deliveries.c.id == delivery_id))).first()
    return None if row is None else _failed(row)


@dataclass(frozen=True, slots=True)
class Again:
    """Where and when a redriven delivery goes; the generation that must still stand."""

    delivery_id: UUID
    generation: int
    endpoint_id: UUID
    version: int
    at: datetime


_WANTED = Rows(
    "wanted",
    deliveries.c.id,
    deliveries.c.generation,
    deliveries.c.endpoint_id,
    deliveries.c.endpoint_version,
    deliveries.c.next_wakeup_at,
)


async def redrive(session: Session, rows: Sequence[Again]) -> set[UUID]:
    """Begin a new generation of each; returns those of which nobody was quicker."""
    if not rows:
        return set()
    wanted = [(row.delivery_id, row.generation, row.endpoint_id, row.version, row.at) for row in rows]
    result = await _WANTED.execute(session, _redrive, wanted)
    return set(result.scalars().all())


@cache
def _redrive(dialect: str) -> Executable:
    wanted = _WANTED.table(dialect)
    return (
        update(deliveries)
        .where(
            deliveries.c.id == wanted.c.id,
            deliveries.c.generation == wanted.c.generation,
            deliveries.c.state.in_(states_before(Fact.REDRIVEN)),
        )
        .values(
            state=State.WAITING,
            reason=Reason.REDRIVEN,
            generation=deliveries.c.generation + 1,
            endpoint_id=wanted.c.endpoint_id,
            endpoint_version=wanted.c.endpoint_version,
            next_wakeup_at=wanted.c.next_wakeup_at,
            held_at=None,
            # It comes once more, also to a reader who has passed it.
            handed_at=None,
        )
        .returning(deliveries.c.id)
    )


@dataclass(frozen=True, slots=True)
class Group:
    """Deliveries that fail alike."""

    state: str
    reason: str | None
    outcome: str | None
    status_class: int | None
    agency_id: UUID | None
    count: int
    oldest_at: datetime
    urgency: Urgency


_STATUS_CLASS = attempts.c.status // 100
_LAST = and_(attempts.c.delivery_id == deliveries.c.id, attempts.c.no == deliveries.c.attempt_no)


async def list_groups(session: Session) -> list[Group]:
    """What fails or needs a person, grouped by cause, the most urgent and the most numerous first."""
    key = (deliveries.c.state, deliveries.c.reason, attempts.c.outcome, _STATUS_CLASS, deliveries.c.agency_id)
    number, urgency = func.count(), func.min(deliveries.c.urgency)
    query = (
        select(*key, number, func.min(deliveries.c.planned_at), urgency)
        .outerjoin(attempts, _LAST)
        .where(text(f"({TROUBLED})"), deliveries.c.is_test.is_(False))
        .group_by(*key)
        .order_by(urgency, number.desc())
        .limit(GROUPS)
    )
    return [
        Group(
            state=row[0],
            reason=row[1],
            outcome=row[2],
            status_class=None if row[3] is None else int(row[3]),
            agency_id=row[4],
            count=row[5],
            oldest_at=row[6],
            urgency=BY_ORDER[row[7]],
        )
        for row in (await session.execute(query)).all()
    ]


def _meant(selection: Selection) -> list[ColumnElement[bool]]:
    match selection.trouble:
        case Trouble.DEAD:
            where = [deliveries.c.state == State.DEAD]
        case Trouble.BLOCKED:
            where = [deliveries.c.state == State.WAITING, deliveries.c.reason.in_(BLOCKED)]
        case Trouble.RETRYING:
            where = [deliveries.c.state == State.WAITING, deliveries.c.reason.in_(RETRYING)]
    if selection.reason is not None:
        where.append(deliveries.c.reason == selection.reason)
    if selection.agency_id is not None:
        where.append(deliveries.c.agency_id == selection.agency_id)
    if selection.planned_from is not None:
        where.append(deliveries.c.planned_at >= selection.planned_from)
    if selection.planned_until is not None:
        where.append(deliveries.c.planned_at < selection.planned_until)
    if selection.outcome is not None:
        where.append(attempts.c.outcome == selection.outcome)
    if selection.status_class == 0:
        where.append(attempts.c.status.is_(None))
    elif selection.status_class is not None:
        low = selection.status_class * 100
        where.append(attempts.c.status.between(low, low + 99))
    return where


def _select(selection: Selection, *columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .outerjoin(attempts, _LAST)
        .where(text(f"({TROUBLED})"), deliveries.c.is_test.is_(False), *_meant(selection))
    )


async def count(session: Session, selection: Selection) -> tuple[int, list[UUID]]:
    """How many are meant, and a few of them."""
    number = await session.scalar(_select(selection, func.count())) or 0
    sample = await session.scalars(
        _select(selection, deliveries.c.id).order_by(deliveries.c.urgency, deliveries.c.id).limit(SAMPLE)
    )
    return number, list(sample.all())


async def list_next(
    session: Session, selection: Selection, *, after: tuple[int, UUID] | None, limit: int
) -> list[Failed]:
    """The next ones that are meant, urgent first; none twice, whatever becomes of those before."""
    query = _select(selection, *_FAILED).order_by(deliveries.c.urgency, deliveries.c.id).limit(limit)
    if after is not None:
        query = query.where(tuple_(deliveries.c.urgency, deliveries.c.id) > after)
    return [_failed(row) for row in (await session.execute(query)).all()]


@dataclass(frozen=True, slots=True)
class Run:
    """A redrive of many as it stands."""

    id: UUID
    selection: Mapping[str, Any]
    proposed_by: str
    confirmed_by: str
    started_at: datetime
    finished_at: datetime | None
    total: int
    redriven: int
    skipped: int
    after: tuple[int, UUID] | None


_RUN = (
    redrives.c.id,
    redrives.c.selection,
    redrives.c.proposed_by,
    redrives.c.confirmed_by,
    redrives.c.started_at,
    redrives.c.finished_at,
    redrives.c.total,
    redrives.c.redriven,
    redrives.c.skipped,
    redrives.c.after_urgency,
    redrives.c.after_id,
)


def _run(row: Any) -> Run:
    after = None if row[10] is None else (row[9], row[10])
    return Run(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], after)


async def add_run(session: Session, row: Mapping[str, Any]) -> bool:
    """Store a redrive of many; ``False`` when its proposal has one already."""
    return await insert_ignore(session, redrives, [row], ["proposal_id"]) == 1


async def find_run(
    session: Session, run_id: UUID | None = None, *, proposal_id: UUID | None = None
) -> Run | None:
    """One redrive of many, by its own id or its proposal's."""
    where = redrives.c.id == run_id if proposal_id is None else redrives.c.proposal_id == proposal_id
    row = (await session.execute(select(*_RUN).where(where))).first()
    return None if row is None else _run(row)


async def list_runs(session: Session, *, limit: int) -> list[Run]:
    """The latest redrives of many."""
    query = select(*_RUN).order_by(redrives.c.started_at.desc(), redrives.c.id).limit(limit)
    return [_run(row) for row in (await session.execute(query)).all()]


async def has_running(session: Session) -> bool:
    """Whether one is under way."""
    query = select(redrives.c.id).where(redrives.c.finished_at.is_(None)).limit(1)
    return (await session.execute(query)).first() is not None


async def lock_running(session: Session) -> Run | None:
    """One that is under way and that no other process drives at this moment."""
    query = select(*_RUN).where(redrives.c.finished_at.is_(None)).order_by(redrives.c.started_at).limit(1)
    rows: Sequence[Any] = (await session.execute(lock_due(query))).all()
    return _run(rows[0]) if rows else None


async def advance(
    session: Session,
    run_id: UUID,
    *,
    redriven: int,
    skipped: int,
    after: tuple[int, UUID] | None,
    finished_at: datetime | None,
) -> None:
    """Note how far it has come, in the transaction that did the work."""
    values: dict[str, Any] = {
        "redriven": redrives.c.redriven + redriven,
        "skipped": redrives.c.skipped + skipped,
        "finished_at": finished_at,
    }
    if after is not None:
        values |= {"after_urgency": after[0], "after_id": after[1]}
    await session.execute(update(redrives).where(redrives.c.id == run_id).values(**values))
