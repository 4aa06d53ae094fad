"""Keys that sign what goes to an endpoint; an older one signs beside the new one for a while."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select, update

from common.db import Session
from notifier.models import endpoint_keys


async def list_keys(
    session: Session, endpoint_ids: Iterable[UUID], *, now: datetime
) -> dict[UUID, list[tuple[int, bytes]]]:
    """Numbers and sealed signing keys in force, newest first, by endpoint."""
    wanted = list(endpoint_ids)
    if not wanted:
        return {}
    result = await session.execute(
        select(
            endpoint_keys.c.endpoint_id,
            endpoint_keys.c.no,
            endpoint_keys.c.sealed,
            endpoint_keys.c.retires_at,
        )
        .where(endpoint_keys.c.endpoint_id.in_(wanted))
        .order_by(endpoint_keys.c.no.desc())
    )
    found: dict[UUID, list[tuple[int, bytes]]] = {}
    for endpoint_id, no, sealed, retires_at in result.all():
        if retires_at is None or retires_at > now:
            found.setdefault(endpoint_id, []).append((no, sealed))
    return found


async def next_key_no(session: Session, endpoint_id: UUID) -> int:
    """The number that the next signing key of this endpoint gets."""
    found = await session.scalar(
        select(func.max(endpoint_keys.c.no)).where(endpoint_keys.c.endpoint_id == endpoint_id)
    )
    return (found or 0) + 1


async def add_key(
    session: Session, endpoint_id: UUID, no: int, sealed: bytes, *, now: datetime, older_retire_at: datetime
) -> None:
    """Store a new key; older ones sign beside it until ``older_retire_at``, never longer than they did."""
    await session.execute(
        update(endpoint_keys)
        .where(endpoint_keys.c.endpoint_id == endpoint_id, endpoint_keys.c.retires_at.is_(None))
        .values(retires_at=older_retire_at)
    )
    await session.execute(
        insert(endpoint_keys).values(
            endpoint_id=endpoint_id, no=no, sealed=sealed, created_at=now, retires_at=None
        )
    )
