"""Obligations: laid down, started, met, alarmed, breached."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, and_, case, null, or_, select, update

from common.bulk import Rows, insert_later
from common.db import Session, lock_due
from notifier.models import alerts, breaches, deliveries, obligations
from notifier.repository.among import ALL, Among

UNMET = ("pending", "open")


@dataclass(frozen=True, slots=True)
class Row:
    """A duty as the ledger works with it."""

    id: UUID
    alert_id: UUID
    rule: str
    kind: str
    force: str
    edition: str
    obliged: str
    obliged_agency_id: UUID | None
    recipient: str | None
    recipient_agency_id: UUID | None
    delivery_id: UUID | None
    state: str
    starts_at: datetime
    due_at: datetime | None
    breach_at: datetime | None
    dispatch_at: datetime | None
    alarmed_at: datetime | None
    breached_at: datetime | None
    released_at: datetime | None
    waived_at: datetime | None
    is_held: bool
    met_at: datetime | None
    evidence_id: UUID | None
    since: datetime | None
    overtaken_at: datetime | None
    citation: Mapping[str, str]
    duty: Mapping[str, str]
    territory: str


_ROW = (
    obligations.c.id,
    obligations.c.alert_id,
    obligations.c.rule,
    obligations.c.kind,
    obligations.c.force,
    obligations.c.edition,
    obligations.c.obliged,
    obligations.c.obliged_agency_id,
    obligations.c.recipient,
    obligations.c.recipient_agency_id,
    obligations.c.delivery_id,
    obligations.c.state,
    obligations.c.starts_at,
    obligations.c.due_at,
    obligations.c.breach_at,
    obligations.c.dispatch_at,
    obligations.c.alarmed_at,
    obligations.c.breached_at,
    obligations.c.released_at,
    obligations.c.waived_at,
    obligations.c.is_held,
    obligations.c.met_at,
    obligations.c.evidence_id,
    obligations.c.since,
    obligations.c.overtaken_at,
    obligations.c.citation,
    obligations.c.duty,
    alerts.c.territory,
)


def _rows() -> Any:
    return select(*_ROW).join(alerts, alerts.c.id == obligations.c.alert_id)


@dataclass(frozen=True, slots=True)
class Restart:
    """True start of a duty whose holder got the information, and the limits that follow."""

    id: UUID
    starts_at: datetime
    due_at: datetime | None
    breach_at: datetime | None
    dispatch_at: datetime | None
    next_check_at: datetime | None


async def add_obligations(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store the duties of an alert."""
    insert_later(session, obligations, rows)


@dataclass(frozen=True, slots=True)
class Met:
    """A duty that was met."""

    id: UUID
    alert_id: UUID
    at: datetime
    breach_at: datetime | None
    breach_reason: str | None

    @property
    def is_lifted(self) -> bool:
        """It had been taken for breached, and was met in time."""
        return self.breach_reason is not None and self.breach_at is not None and self.at <= self.breach_at


async def meet_carried(session: Session, met_at: Mapping[UUID, datetime]) -> list[Met]:
    """Meet the notice duties that these deliveries carry, as of their transmission.

    A breach that was written before we heard that the limit was kept is none.
    """
    result = await _SENT.execute(session, _meet, list(met_at.items()))
    met = [Met(*row) for row in result.all()]
    lifted = [each.id for each in met if each.is_lifted]
    if lifted:
        await session.execute(
            update(obligations)
            .where(obligations.c.id.in_(lifted))
            .values(breach_owner_id=None, breach_reason=None)
        )
    return met


_SENT = Rows("sent", deliveries.c.id, deliveries.c.transmitted_at)


@cache
def _meet(dialect: str) -> Executable:
    sent = _SENT.table(dialect)
    return (
        update(obligations)
        .where(
            obligations.c.delivery_id == sent.c.id,
            obligations.c.kind == "notice",
            obligations.c.state.in_(UNMET),
        )
        .values(
            state="met",
            met_at=sent.c.transmitted_at,
            next_check_at=None,
            breached_at=case(
                (sent.c.transmitted_at <= obligations.c.breach_at, null()), else_=obligations.c.breached_at
            ),
        )
        .returning(
            obligations.c.id,
            obligations.c.alert_id,
            obligations.c.met_at,
            obligations.c.breach_at,
            obligations.c.breach_reason,
        )
    )


async def reopen_carried(
    session: Session, delivery_id: UUID, *, met_at: datetime, now: datetime
) -> list[UUID]:
    """Open again the notice duties that a transmission had met at that moment; it was none."""
    result = await session.execute(
        update(obligations)
        .where(
            obligations.c.delivery_id == delivery_id,
            obligations.c.kind == "notice",
            obligations.c.state == "met",
            obligations.c.met_at == met_at,
            obligations.c.evidence_id.is_(None),
        )
        .values(state="open", met_at=None, next_check_at=now)
        .returning(obligations.c.id)
    )
    return list(result.scalars().all())


async def list_pending_of(session: Session, delivery_ids: Collection[UUID]) -> list[tuple[Row, UUID]]:
    """Duties that wait for exactly these deliveries to reach their holder, each with its delivery."""
    result = await _REACHED.execute(session, _pending_of, [(one,) for one in delivery_ids])
    return [(Row(*row[:-1]), row[-1]) for row in result.all()]


_REACHED = Rows("reached", deliveries.c.id)


@cache
def _pending_of(dialect: str) -> Executable:
    reached = _REACHED.table(dialect)
    return (
        select(*_ROW, deliveries.c.id.label("reached_by"))
        .join(alerts, alerts.c.id == obligations.c.alert_id)
        .join(
            deliveries,
            and_(
                deliveries.c.alert_id == obligations.c.alert_id,
                deliveries.c.agency_id == obligations.c.obliged_agency_id,
            ),
        )
        .where(deliveries.c.id.in_(select(reached.c.id)), obligations.c.state == "pending")
    )


async def restart(session: Session, restarts: Sequence[Restart]) -> None:
    """Open pending duties with their true clocks."""
    if not restarts:
        return
    rows = [(r.id, r.starts_at, r.due_at, r.breach_at, r.dispatch_at, r.next_check_at) for r in restarts]
    await _BEGUN.execute(session, _begin, rows)


_BEGUN = Rows(
    "begun", obligations.c.id, obligations.c.starts_at, obligations.c.due_at, obligations.c.breach_at,
    obligations.c.dispatch_at, obligations.c.next_check_at,
)  # fmt: skip


@cache
def _begin(dialect: str) -> Executable:
    begun = _BEGUN.table(dialect)
    return (
        update(obligations)
        .where(obligations.c.id == begun.c.id, obligations.c.state == "pending")
        .values(
            state="open",
            starts_at=begun.c.starts_at,
            due_at=begun.c.due_at,
            breach_at=begun.c.breach_at,
            dispatch_at=begun.c.dispatch_at,
            next_check_at=begun.c.next_check_at,
        )
    )


async def find_due_alerts(session: Session, *, now: datetime, among: Among, limit: int) -> list[UUID]:
    """Alerts whose clocks have something to do: spares the writers' lock when there are none.

    Args:
        among: which alerts; the duties of one leave together.
    """
    query = (
        select(obligations.c.alert_id)
        .where(obligations.c.next_check_at <= now, *among.of(obligations.c.alert_id))
        .order_by(obligations.c.next_check_at)
        .limit(limit)
    )
    return list(dict.fromkeys((await session.scalars(query)).all()))


async def lock_due_checks(session: Session, *, now: datetime, limit: int, among: Among = ALL) -> list[Row]:
    """Duties at which a moment passed, the longest first, whole alerts together.

    Args:
        among: which alerts.
    """
    locked = await session.scalars(
        lock_due(
            select(obligations.c.id)
            .where(obligations.c.next_check_at <= now, *among.of(obligations.c.alert_id))
            .order_by(obligations.c.next_check_at)
            .limit(limit)
        )
    )
    ids = list(locked.all())
    if not ids:
        return []
    return [Row(*row) for row in (await session.execute(_rows().where(obligations.c.id.in_(ids)))).all()]


async def set_obligation(session: Session, obligation_id: UUID, values: Mapping[str, Any]) -> None:
    """Change one duty that this transaction has locked."""
    await session.execute(update(obligations).where(obligations.c.id == obligation_id).values(**values))


async def list_of_delivery(session: Session, delivery_id: UUID) -> list[Row]:
    """The duties that a delivery carries, strictest first."""
    query = _rows().where(obligations.c.delivery_id == delivery_id)
    rows = [Row(*row) for row in (await session.execute(query)).all()]
    far = max((row.due_at for row in rows if row.due_at), default=None)
    return sorted(rows, key=lambda row: (row.due_at is None, row.due_at or far))


async def list_named(session: Session, delivery_id: UUID) -> list[Row]:
    """The duties that a first way carries, or of whose breach it tells; strictest first."""
    query = _rows().where(
        or_(
            obligations.c.delivery_id == delivery_id,
            obligations.c.breach_id.in_(select(breaches.c.id).where(breaches.c.told_id == delivery_id)),
        )
    )
    rows = [Row(*row) for row in (await session.execute(query)).all()]
    far = max((row.due_at for row in rows if row.due_at), default=None)
    return sorted(rows, key=lambda row: (row.due_at is None, row.due_at or far))


async def lock_owned(session: Session, agency_id: UUID, ids: Collection[UUID]) -> list[Row]:
    """Those of these duties that bind this agency, locked in one order until the transaction ends."""
    query = (
        _rows()
        .where(obligations.c.id.in_(list(ids)), obligations.c.obliged_agency_id == agency_id)
        .order_by(obligations.c.id)
        .with_for_update(of=obligations)
    )
    return [Row(*row) for row in (await session.execute(query)).all()]


async def alert_of(session: Session, obligation_id: UUID) -> UUID | None:
    """The alert that a duty belongs to."""
    query = select(obligations.c.alert_id).where(obligations.c.id == obligation_id)
    return (await session.execute(query)).scalar()


async def lock_of_alert(session: Session, alert_id: UUID) -> list[Row]:
    """All duties of an alert, locked in one order until the transaction ends."""
    query = (
        _rows()
        .where(obligations.c.alert_id == alert_id)
        .order_by(obligations.c.id)
        .with_for_update(of=obligations)
    )
    return [Row(*row) for row in (await session.execute(query)).all()]


async def list_of_alert(session: Session, alert_id: UUID) -> list[Row]:
    """All duties of an alert."""
    query = _rows().where(obligations.c.alert_id == alert_id)
    return [Row(*row) for row in (await session.execute(query)).all()]


async def name_holder(
    session: Session, alert_id: UUID, role: str, agency_id: UUID, *, recipient_of: UUID | None = None
) -> None:
    """Write down who holds a role that nobody held when the alert was planned."""
    if recipient_of is not None:
        await session.execute(
            update(obligations)
            .where(obligations.c.delivery_id == recipient_of)
            .values(recipient_agency_id=agency_id)
        )
    await session.execute(
        update(obligations)
        .where(
            obligations.c.alert_id == alert_id,
            obligations.c.obliged == role,
            obligations.c.obliged_agency_id.is_(None),
        )
        .values(obliged_agency_id=agency_id)
    )


async def first_delivery_of(
    session: Session, alert_id: UUID, agency_id: UUID | None, role: str
) -> UUID | None:
    """The delivery by which the holder of a pending duty should have been told."""
    query = (
        select(deliveries.c.id)
        .where(
            deliveries.c.alert_id == alert_id,
            deliveries.c.rung == 0,
            or_(
                deliveries.c.agency_id == agency_id,
                and_(deliveries.c.agency_id.is_(None), deliveries.c.role == role),
            ),
        )
        .order_by(deliveries.c.notice_no)
        .limit(1)
    )
    return (await session.execute(query)).scalar()
