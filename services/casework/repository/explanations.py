"""What bodies say of breached duties."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from casework.models import Explanation
from casework.repository.tables import table_of
from common.db import Session, insert_ignore


async def add_explanation(session: Session, row: Mapping[str, Any]) -> bool:
    """Keep one; ``False`` when it is kept already."""
    return await insert_ignore(session, table_of(Explanation), [row], ["id"]) == 1


async def explanations_of(session: Session, obligations: Iterable[UUID]) -> dict[UUID, list[Explanation]]:
    """Those of these duties, in the order in which they were said."""
    wanted = list(obligations)
    if not wanted:
        return {}
    found = await session.scalars(
        select(Explanation)
        .where(col(Explanation.obligation_id).in_(wanted))
        .order_by(col(Explanation.explained_at), col(Explanation.id))
    )
    said: dict[UUID, list[Explanation]] = {}
    for row in found:
        said.setdefault(row.obligation_id, []).append(row)
    return said
