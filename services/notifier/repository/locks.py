"""Decisions to keep an alert from the parents or to let it go to them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select

from common.db import Session
from notifier.models import parent_locks


async def add_lock(session: Session, row: Mapping[str, Any]) -> None:
    """Store a decision."""
    await session.execute(insert(parent_locks).values(**row))


async def last_change(session: Session, alert_id: UUID) -> datetime | None:
    """When it was decided last; ``None`` when nobody has decided anything."""
    found: datetime | None = await session.scalar(
        select(func.max(parent_locks.c.at)).where(parent_locks.c.alert_id == alert_id)
    )
    return found
