"""Agencies that must not be able to tell that a case exists."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, or_, select, update

from casework.models import Case, CaseAlert, Exclusion
from casework.repository.joined import head_of, is_under, together_with
from casework.repository.tables import table_of
from common.db import Session, insert_ignore

_CASES, _EXCLUSIONS, _LINKS = table_of(Case), table_of(Exclusion), table_of(CaseAlert)
_IN_FORCE = or_(_EXCLUSIONS.c.lifted_at.is_(None), _EXCLUSIONS.c.raised_at > _EXCLUSIONS.c.lifted_at)


def is_shut_out(agency: UUID, case_id: Any) -> Any:
    """Whether an agency must not be able to tell that a case exists: one alert of the joined is enough."""
    return exists().where(
        _LINKS.c.case_id.in_(together_with(case_id)),
        _EXCLUSIONS.c.alert_id == _LINKS.c.alert_id,
        _EXCLUSIONS.c.agency_id == agency,
        _IN_FORCE,
    )


async def shut_out_of(session: Session, case_ids: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """Agencies that must not be able to tell that these cases exist; a case without any is left out."""
    asked, other = _CASES.alias(), _CASES.alias()
    found = await session.execute(
        select(asked.c.id, _EXCLUSIONS.c.agency_id)
        .join(other, is_under(other, head_of(asked)))
        .join(_LINKS, _LINKS.c.case_id == other.c.id)
        .join(_EXCLUSIONS, _EXCLUSIONS.c.alert_id == _LINKS.c.alert_id)
        .where(asked.c.id.in_(list(set(case_ids))), _IN_FORCE)
    )
    shut_out: dict[UUID, set[UUID]] = {}
    for case_id, agency in found.all():
        shut_out.setdefault(case_id, set()).add(agency)
    return shut_out


async def change_exclusions(
    session: Session,
    alert_id: UUID,
    agencies: Iterable[UUID],
    *,
    raised_at: datetime | None = None,
    lifted_at: datetime | None = None,
) -> None:
    """Take what notifier says; of two times of one kind the later counts, in whatever order they come."""
    wanted = sorted(set(agencies), key=str)
    rows = [
        {"alert_id": alert_id, "agency_id": each, "raised_at": None, "lifted_at": None} for each in wanted
    ]
    await insert_ignore(session, _EXCLUSIONS, rows, ["alert_id", "agency_id"])
    for column, at in ((_EXCLUSIONS.c.raised_at, raised_at), (_EXCLUSIONS.c.lifted_at, lifted_at)):
        if at is not None:
            await session.execute(
                update(_EXCLUSIONS)
                .where(
                    _EXCLUSIONS.c.alert_id == alert_id,
                    _EXCLUSIONS.c.agency_id.in_(wanted),
                    or_(column.is_(None), column < at),
                )
                .values({column: at})
            )
