"""Periods of duties that return: opened, met, watched, passed on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, or_, select, update

from common.db import Session, insert_ignore, lock_due
from notifier.domain.resolution import Holding
from notifier.models import agencies, mandates, period_returns, period_watermarks, periods
from notifier.repository.among import ALL, Among


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """What one agency owes for one period of one duty."""

    id: UUID
    rule: str
    key: str
    edition: str
    agency_id: UUID
    role: str
    territory: str
    first_day: date
    last_day: date
    opens_at: datetime
    due_at: datetime
    breach_at: datetime | None
    is_provisional: bool
    state: str
    met_at: datetime | None
    return_id: UUID | None
    alarmed_at: datetime | None
    breached_at: datetime | None
    passed_from: UUID | None
    passed_to: UUID | None


_ROW = tuple(column for column in periods.c if column.name != "next_check_at")


async def list_watermarks(session: Session) -> dict[str, datetime | None]:
    """Until when the periods of each duty were opened."""
    result = await session.execute(select(period_watermarks.c.rule, period_watermarks.c.until))
    return {row[0]: row[1] for row in result.all()}


async def lock_watermark(session: Session, rule: str) -> datetime | None:
    """Until when the periods of a duty were opened, ``None`` when nobody looked.

    Who holds it alone opens more, and alone takes what is handed in: neither can miss the other.
    """
    await insert_ignore(session, period_watermarks, [{"rule": rule, "until": None}], ["rule"])
    query = select(period_watermarks.c.until).where(period_watermarks.c.rule == rule).with_for_update()
    until: datetime | None = (await session.execute(query)).scalar_one()
    return until


async def move_watermark(session: Session, rule: str, until: datetime) -> None:
    """Everything until then is opened."""
    await session.execute(
        update(period_watermarks).where(period_watermarks.c.rule == rule).values(until=until)
    )


async def add_periods(session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
    """Store periods; the unique key decides that none is owed twice. Returns how many are new."""
    return await insert_ignore(session, periods, rows, ["rule", "key", "agency_id"])


async def list_holdings(session: Session, role: str, agency_ids: Collection[UUID] = ()) -> list[Holding]:
    """Every mandate for this role anywhere, past and future ones too; of these agencies, when given."""
    query = (
        select(
            mandates.c.agency_id,
            mandates.c.role,
            mandates.c.territory,
            mandates.c.valid_from,
            mandates.c.valid_until,
            mandates.c.is_primary,
            agencies.c.retired_at,
        )
        .join(agencies, agencies.c.id == mandates.c.agency_id)
        .where(mandates.c.role == role)
        .order_by(mandates.c.territory, mandates.c.agency_id)
    )
    if agency_ids:
        query = query.where(mandates.c.agency_id.in_(list(agency_ids)))
    held = []
    for row in (await session.execute(query)).all():
        ends = min((moment for moment in (row[4], row[6]) if moment is not None), default=None)
        held.append(Holding(row[0], row[1], row[2], row[3], ends, is_primary=row[5]))
    return held


async def find_due_periods(session: Session, *, now: datetime, among: Among, limit: int) -> list[UUID]:
    """Periods that ``lock_due_periods`` would lock: spares the writers' lock when there are none."""
    found = await session.scalars(_due(periods.c.id, now=now, among=among, limit=limit))
    return list(found.all())


async def lock_due_periods(
    session: Session, *, now: datetime, limit: int, among: Among = ALL
) -> list[PeriodRow]:
    """Periods at which a moment passed, the longest first."""
    query = _due(*_ROW, now=now, among=among, limit=limit)
    return [PeriodRow(*row) for row in (await session.execute(lock_due(query))).all()]


def _due(*columns: Any, now: datetime, among: Among, limit: int) -> Select[Any]:
    return (
        select(*columns)
        .where(periods.c.next_check_at <= now, *among.of(periods.c.id))
        .order_by(periods.c.next_check_at)
        .limit(limit)
    )


async def set_periods(session: Session, ids: Collection[UUID], values: Mapping[str, Any]) -> None:
    """Change periods that this transaction has locked."""
    if ids:
        await session.execute(update(periods).where(periods.c.id.in_(list(ids))).values(**values))


async def mark_breached(session: Session, ids: Collection[UUID]) -> None:
    """The instant of the breach itself: noticing it later changes nothing in law."""
    await set_periods(session, ids, {"breached_at": periods.c.breach_at})


async def look_again(session: Session, agency_id: UUID, *, now: datetime) -> None:
    """The mandates of an agency changed: its open periods may be another's now."""
    await session.execute(
        update(periods)
        .where(periods.c.agency_id == agency_id, periods.c.state == "open")
        .values(next_check_at=now)
    )


async def add_return(session: Session, row: Mapping[str, Any]) -> bool:
    """Keep what was handed in; ``False`` when something was before."""
    return await insert_ignore(session, period_returns, [row], ["rule", "key", "agency_id"]) == 1


@dataclass(frozen=True, slots=True)
class Handed:
    """An open period, and what was handed in for it."""

    period: PeriodRow
    return_id: UUID
    submitted_at: datetime


async def lock_handed(session: Session, rule: str, key: str, agency_ids: Collection[UUID]) -> list[Handed]:
    """Open periods of these agencies for which something was handed in, before or after they opened."""
    query = (
        select(*_ROW, period_returns.c.id, period_returns.c.submitted_at)
        .join(
            period_returns,
            and_(
                period_returns.c.rule == periods.c.rule,
                period_returns.c.key == periods.c.key,
                period_returns.c.agency_id == periods.c.agency_id,
            ),
        )
        .where(
            periods.c.rule == rule,
            periods.c.key == key,
            periods.c.agency_id.in_(list(agency_ids)),
            periods.c.state == "open",
        )
        .with_for_update(of=periods)
    )
    return [Handed(PeriodRow(*row[:-2]), row[-2], row[-1]) for row in (await session.execute(query)).all()]


async def find_period(session: Session, period_id: UUID) -> PeriodRow | None:
    """One period."""
    row = (await session.execute(select(*_ROW).where(periods.c.id == period_id))).first()
    return None if row is None else PeriodRow(*row)


async def list_periods(
    session: Session,
    *,
    agency_id: UUID | None,
    state: str | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[PeriodRow]:
    """Periods, the latest limit first."""
    query = select(*_ROW).order_by(periods.c.due_at.desc(), periods.c.id.desc()).limit(limit)
    if agency_id is not None:
        query = query.where(periods.c.agency_id == agency_id)
    if state is not None:
        query = query.where(periods.c.state == state)
    if after is not None:
        moment, last = after
        query = query.where(
            or_(periods.c.due_at < moment, (periods.c.due_at == moment) & (periods.c.id < last))
        )
    return [PeriodRow(*row) for row in (await session.execute(query)).all()]
