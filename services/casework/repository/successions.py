"""Who took the place of whom."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from casework.models import Succession
from casework.repository.tables import table_of
from common.db import Session, insert_ignore

_SUCCESSIONS = table_of(Succession)


async def add_successions(
    session: Session, alert_id: UUID, former: UUID, heirs: Mapping[str, UUID], *, at: datetime
) -> None:
    """Keep who took a place, under which role; the first time counts."""
    rows = [
        {"alert_id": alert_id, "former_id": former, "role": role, "successor_id": heir, "passed_at": at}
        for role, heir in sorted(heirs.items())
    ]
    await insert_ignore(session, _SUCCESSIONS, rows, ["alert_id", "former_id", "role"])


async def heirs_of(session: Session, alert_ids: Iterable[UUID]) -> dict[tuple[UUID, UUID, str], UUID]:
    """Successor by alert, former body and role."""
    rows = await session.execute(
        select(
            _SUCCESSIONS.c.alert_id,
            _SUCCESSIONS.c.former_id,
            _SUCCESSIONS.c.role,
            _SUCCESSIONS.c.successor_id,
        ).where(_SUCCESSIONS.c.alert_id.in_(list(set(alert_ids))))
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows.all()}
