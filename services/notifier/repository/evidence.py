"""Statements of obliged bodies: one a duty."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select

from common.db import Session, insert_ignore
from notifier.models import evidence


@dataclass(frozen=True, slots=True)
class Statement:
    """What was stated of a duty, as a token of its words."""

    id: UUID
    digest: bytes = field(repr=False)


async def add_statement(session: Session, row: Mapping[str, Any]) -> bool:
    """Store a statement; ``False`` when there is one of this duty."""
    return await insert_ignore(session, evidence, [row], ["obligation_id"]) == 1


async def find_statement(session: Session, obligation_id: UUID) -> Statement | None:
    """The statement of a duty."""
    query = select(evidence.c.id, evidence.c.digest).where(evidence.c.obligation_id == obligation_id)
    row = (await session.execute(query)).first()
    return None if row is None else Statement(row[0], row[1])
