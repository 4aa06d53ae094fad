"""Exclusions, and what is needed to say whom they cover."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select

from common.db import Session, insert_ignore
from notifier.domain.exclusion import Exclusion, Held
from notifier.models import agencies, alert_handles, exclusions, mandates

MOST_LEVELS = 10
"""How many bodies above one another a register can sensibly name."""


async def add_exclusions(session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
    """Store exclusions; one that is there stays as it is. Returns how many are new."""
    return await insert_ignore(session, exclusions, rows, ["alert_id", "mark"])


async def list_in_force(
    session: Session, agency_ids: Collection[UUID], alert_ids: Collection[UUID] | None
) -> list[Exclusion]:
    """Exclusions that may cover these agencies; of these alerts, or of every alert that one of them knows."""
    query = select(
        exclusions.c.alert_id, exclusions.c.agency_id, exclusions.c.role, exclusions.c.territory
    ).where(
        exclusions.c.state == "in_force",
        or_(exclusions.c.agency_id.is_(None), exclusions.c.agency_id.in_(list(agency_ids))),
    )
    if alert_ids is None:
        known = select(alert_handles.c.alert_id).where(alert_handles.c.agency_id.in_(list(agency_ids)))
        query = query.where(exclusions.c.alert_id.in_(known))
    else:
        query = query.where(exclusions.c.alert_id.in_(list(alert_ids)))
    return [Exclusion(*row) for row in (await session.execute(query)).all()]


async def list_held(session: Session, agency_ids: Collection[UUID]) -> dict[UUID, set[Held]]:
    """Roles and territories of these agencies, past and future ones too."""
    found = await session.execute(
        select(mandates.c.agency_id, mandates.c.role, mandates.c.territory).where(
            mandates.c.agency_id.in_(list(agency_ids))
        )
    )
    held: dict[UUID, set[Held]] = {}
    for agency_id, role, territory in found.all():
        held.setdefault(agency_id, set()).add((role, territory))
    return held


async def list_superiors(session: Session, agency_ids: Collection[UUID], *, at: datetime) -> dict[UUID, UUID]:
    """The body above each of these agencies and above those in turn; a retired one is stepped over."""
    direct: dict[UUID, tuple[UUID | None, bool]] = {}
    asked = set(agency_ids)
    for _ in range(MOST_LEVELS):
        if not asked:
            break
        found = await session.execute(
            select(agencies.c.id, agencies.c.superior_id, agencies.c.retired_at).where(
                agencies.c.id.in_(list(asked))
            )
        )
        rows = found.all()
        direct |= {row[0]: (row[1], row[2] is not None and row[2] <= at) for row in rows}
        asked = {row[1] for row in rows if row[1] is not None} - set(direct)
    above: dict[UUID, UUID] = {}
    for agency_id in direct:
        superior, seen = direct[agency_id][0], {agency_id}
        while superior is not None and superior not in seen:
            seen.add(superior)
            following, is_retired = direct.get(superior, (None, True))
            if not is_retired:
                above[agency_id] = superior
                break
            superior = following
    return above
