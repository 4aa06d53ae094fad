"""Facts that came after the alert."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update

from common.db import Session, insert_ignore
from notifier.domain.later import LaterFact
from notifier.models import alerts, later_facts
from notifier.models.facts import UNAPPLIED
from notifier.repository.among import ALL, Among


@dataclass(frozen=True, slots=True)
class Kept:
    """A fact as it is kept; ``is_new``: nothing was made of it yet."""

    fact: LaterFact
    actor: str
    is_new: bool


async def add_facts(session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
    """Keep facts; the same one told again is there already. Returns how many are new."""
    return await insert_ignore(session, later_facts, rows, ["alert_id", "evidence_id", "code"])


async def list_facts(session: Session, alert_id: UUID) -> list[Kept]:
    """Every fact of an alert."""
    result = await session.execute(
        select(
            later_facts.c.evidence_id,
            later_facts.c.code,
            later_facts.c.happened_at,
            later_facts.c.body,
            later_facts.c.agency_id,
            later_facts.c.replaces,
            later_facts.c.actor,
            later_facts.c.applied_at,
        ).where(later_facts.c.alert_id == alert_id)
    )
    return [
        Kept(
            LaterFact(id=row[0], code=row[1], at=row[2], body=row[3], agency=row[4], replaces=row[5]),
            actor=row[6],
            is_new=row[7] is None,
        )
        for row in result.all()
    ]


async def mark_applied(session: Session, alert_id: UUID, applied: Collection[Kept], *, at: datetime) -> None:
    """These have had their effect; one that was told since they were listed has not. Locks: the alert's."""
    for each in applied:
        if each.is_new:
            await session.execute(
                update(later_facts)
                .where(
                    later_facts.c.alert_id == alert_id,
                    later_facts.c.evidence_id == each.fact.id,
                    later_facts.c.code == each.fact.code,
                    text(UNAPPLIED),
                )
                .values(applied_at=at)
            )


async def list_waiting(session: Session, *, limit: int, among: Among = ALL) -> list[UUID]:
    """Alerts that are planned by now and have facts of which nothing was made yet."""
    found = await session.scalars(
        select(later_facts.c.alert_id)
        .join(alerts, alerts.c.id == later_facts.c.alert_id)
        .where(text(UNAPPLIED), *among.of(later_facts.c.alert_id))
        .distinct()
        .order_by(later_facts.c.alert_id)
        .limit(limit)
    )
    return list(found.all())
