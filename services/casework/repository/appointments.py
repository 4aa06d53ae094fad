"""Appointments of case managers."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from casework.models import Appointment
from casework.repository.tables import table_of
from common.db import Session, insert_ignore


async def add_appointment(session: Session, appointment: Appointment) -> bool:
    """Add the appointment; ``False`` when the case has one. The unique index decides."""
    row = appointment.model_dump()
    return await insert_ignore(session, table_of(Appointment), [row], ["case_id"]) == 1


async def get_appointment(session: Session, case_id: UUID) -> Appointment:
    """The appointment that the case is known to have."""
    found = await session.scalars(select(Appointment).where(col(Appointment.case_id) == case_id))
    return found.one()


async def appointments_of(session: Session, case_ids: Iterable[UUID]) -> dict[UUID, Appointment]:
    """The appointment of each case that has one."""
    found = await session.scalars(select(Appointment).where(col(Appointment.case_id).in_(set(case_ids))))
    return {appointment.case_id: appointment for appointment in found}
