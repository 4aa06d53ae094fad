"""Cases that were joined: which continues, and which point to it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlmodel import col

from casework.models import Case
from casework.repository.tables import table_of
from common.db import Session

_CASES = table_of(Case)


def head_of(cases: Any) -> Any:
    """The case that continues: itself, for a case that stands alone."""
    return func.coalesce(cases.c.joined_into, cases.c.id)


def together_with(case_id: Any) -> Any:
    """Ids of the cases that hang together with one, itself included; for use inside another query."""
    one, other = _CASES.alias(), _CASES.alias()
    head = select(head_of(one)).where(one.c.id == case_id).correlate_except(one).scalar_subquery()
    return select(other.c.id).where(is_under(other, head)).correlate_except(other)


def is_under(cases: Any, head: Any) -> Any:
    """Whether a case is that which continues, or points to it. Both by index: a ``coalesce`` would scan."""
    return or_(cases.c.id == head, cases.c.joined_into == head)


async def cases_together(session: Session, case_id: UUID) -> list[Case]:
    """The cases that hang together with one, the one that continues first."""
    found = await session.scalars(select(Case).where(col(Case.id).in_(together_with(case_id))))
    return sorted(found, key=lambda case: (case.joined_into is not None, case.created_at, str(case.id)))


async def point_cases(session: Session, heads: Mapping[UUID, UUID], no: int) -> None:
    """Let each of these cases point to its head; a telling that was overtaken changes nothing."""
    for case_id, head in sorted(heads.items()):
        await session.execute(
            update(_CASES)
            .where(_CASES.c.id == case_id, _CASES.c.joined_no < no)
            .values(joined_into=None if head == case_id else head, joined_no=no)
        )
