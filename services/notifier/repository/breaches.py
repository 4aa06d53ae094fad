"""Breached acts: alarms, and what their owners say of them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from common.bulk import insert_rows
from common.db import Session, insert_ignore
from notifier.models import breach_statements, breaches, obligations


@dataclass(frozen=True, slots=True)
class Breach:
    """One alarm: whose acts, and which body above was told by which notice."""

    id: UUID
    alert_id: UUID
    owner_id: UUID | None
    role: str
    breached_at: datetime
    raised_at: datetime
    superior_id: UUID | None
    told_id: UUID | None


_BREACH = (
    breaches.c.id,
    breaches.c.alert_id,
    breaches.c.owner_id,
    breaches.c.role,
    breaches.c.breached_at,
    breaches.c.raised_at,
    breaches.c.superior_id,
    breaches.c.told_id,
)


async def add_breach(session: Session, row: Mapping[str, Any], obligation_ids: Collection[UUID]) -> None:
    """Store an alarm with the duties that it is about."""
    await insert_rows(session, breaches, [row])
    await session.execute(
        update(obligations).where(obligations.c.id.in_(list(obligation_ids))).values(breach_id=row["id"])
    )


async def find_told(session: Session, delivery_id: UUID) -> Breach | None:
    """The alarm of which this notice told the body above."""
    row = (await session.execute(select(*_BREACH).where(breaches.c.told_id == delivery_id))).first()
    return None if row is None else Breach(*row)


async def lock_told(session: Session, delivery_ids: Collection[UUID]) -> list[Breach]:
    """The alarms of which these notices told a body above; they stay as they are for this transaction."""
    if not delivery_ids:
        return []
    query = select(*_BREACH).where(breaches.c.told_id.in_(list(delivery_ids))).order_by(breaches.c.id)
    return [Breach(*row) for row in (await session.execute(query.with_for_update())).all()]


async def duties_of(session: Session, breach_id: UUID) -> list[UUID]:
    """The duties that an alarm is about."""
    query = select(obligations.c.id).where(obligations.c.breach_id == breach_id)
    return list((await session.execute(query)).scalars())


async def set_told(
    session: Session, breach_id: UUID, *, superior_id: UUID | None, told_id: UUID | None
) -> None:
    """Another body above is told of it, or none."""
    values = {"superior_id": superior_id, "told_id": told_id}
    await session.execute(update(breaches).where(breaches.c.id == breach_id).values(values))


async def list_of_alert(session: Session, alert_id: UUID) -> list[Breach]:
    """The alarms of an alert."""
    query = select(*_BREACH).where(breaches.c.alert_id == alert_id).order_by(breaches.c.raised_at)
    return [Breach(*row) for row in (await session.execute(query)).all()]


async def list_by_id(session: Session, ids: Collection[UUID]) -> dict[UUID, Breach]:
    """These alarms."""
    if not ids:
        return {}
    rows = await session.execute(select(*_BREACH).where(breaches.c.id.in_(list(ids))))
    return {row[0]: Breach(*row) for row in rows.all()}


@dataclass(frozen=True, slots=True)
class Broken:
    """A breached duty, as whoever explains it needs it."""

    id: UUID
    alert_id: UUID
    rule: str
    breached_at: datetime | None
    owner_id: UUID | None
    reason: str | None
    breach_id: UUID | None
    obliged_agency_id: UUID | None


async def find_broken(session: Session, obligation_id: UUID) -> Broken | None:
    """A duty and its breach, if there was one."""
    query = select(
        obligations.c.id,
        obligations.c.alert_id,
        obligations.c.rule,
        obligations.c.breached_at,
        obligations.c.breach_owner_id,
        obligations.c.breach_reason,
        obligations.c.breach_id,
        obligations.c.obliged_agency_id,
    ).where(obligations.c.id == obligation_id)
    row = (await session.execute(query)).first()
    return None if row is None else Broken(*row)


@dataclass(frozen=True, slots=True)
class Statement:
    """What one body says of a breach; sealed, because people write it."""

    id: UUID
    obligation_id: UUID
    agency_id: UUID
    stated_at: datetime
    sealed: bytes = field(repr=False)


async def add_statement(session: Session, row: Mapping[str, Any]) -> bool:
    """Store a statement; ``False`` when this body said the same before."""
    keys = ["obligation_id", "agency_id", "token"]
    return await insert_ignore(session, breach_statements, [row], keys) == 1


async def list_statements(session: Session, obligation_ids: Collection[UUID]) -> dict[UUID, list[Statement]]:
    """Everything that was said of these breaches, in its order."""
    if not obligation_ids:
        return {}
    query = (
        select(
            breach_statements.c.id,
            breach_statements.c.obligation_id,
            breach_statements.c.agency_id,
            breach_statements.c.stated_at,
            breach_statements.c.sealed,
        )
        .where(breach_statements.c.obligation_id.in_(list(obligation_ids)))
        .order_by(breach_statements.c.stated_at, breach_statements.c.id)
    )
    found: dict[UUID, list[Statement]] = {}
    for row in (await session.execute(query)).all():
        found.setdefault(row[1], []).append(Statement(*row))
    return found
