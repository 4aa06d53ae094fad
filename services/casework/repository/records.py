"""Signed records."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from casework.models import Case, Record
from common.db import Session


async def lock_case(session: Session, case_id: UUID) -> None:
    """One writer of records a case at a time."""
    await session.execute(select(col(Case.id)).where(col(Case.id) == case_id).with_for_update())


async def add_record(session: Session, record: Record) -> None:
    """Add a record; its case must be locked."""
    session.add(record)
    await session.flush()


async def find_record(session: Session, record_id: UUID) -> Record | None:
    """A record by its id."""
    return (await session.scalars(select(Record).where(col(Record.id) == record_id))).one_or_none()


async def find_record_by_token(session: Session, token: bytes) -> Record | None:
    """The record that says exactly this."""
    return (await session.scalars(select(Record).where(col(Record.token) == token))).one_or_none()


async def is_superseded(session: Session, record_id: UUID) -> bool:
    """Whether a later record has taken this one's place."""
    found = await session.scalars(select(col(Record.id)).where(col(Record.supersedes) == record_id))
    return found.first() is not None


async def records_of(session: Session, case_ids: Collection[UUID], *, agency: UUID | None) -> list[Record]:
    """Records of these cases, as it happened; only the agency's where one is given."""
    wanted = select(Record).where(col(Record.case_id).in_(case_ids))
    if agency is not None:
        wanted = wanted.where(col(Record.agency_id) == agency)
    return list(await session.scalars(wanted.order_by(col(Record.happened_at), col(Record.id))))
