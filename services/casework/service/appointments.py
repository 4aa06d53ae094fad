"""The case manager: the first fact that meets a duty of the law, ``R136-12.2``."""

from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from casework import repository
from casework.domain.case import APPOINTMENT_RULE, COORDINATING, Employee
from casework.errors import (
    AcceptanceInFuture,
    CaseManagerAlreadyAppointed,
    NoDutyToAppoint,
    NotCoordinating,
)
from casework.models import Appointment
from casework.service.cases import get_case
from common import outbox
from common.contracts.casework import CaseManagerAppointed
from common.db import Session, after_commit
from common.ids import new_id
from common.telemetry import log
from common.timing import Now

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of ours an agency's clock may go."""


class PersonSeals(Protocol):
    """Seals a person into one place and opens it there."""

    def seal(self, employee: Employee, place: UUID) -> bytes:
        """For the appointment with this id."""

    def unseal(self, sealed: bytes, place: UUID) -> Employee:
        """From the appointment with this id."""


async def appoint_case_manager(
    session: Session,
    case_id: UUID,
    employee: Employee,
    *,
    accepted_at: datetime | None,
    agency: UUID,
    by: str,
    seals: PersonSeals,
    now: Now,
) -> tuple[Appointment, bool]:
    """Store the appointment and tell notifier, both or neither (joint order ¶12(2)).

    Returns:
        The appointment, and whether it is new; a repeat with the same content is not.

    Raises:
        CaseUnknown: the agency has no part in the case.
        NotCoordinating: another body holds the duty.
        NoDutyToAppoint: nobody holds it.
        CaseManagerAlreadyAppointed: somebody else was appointed.
        AcceptanceInFuture: ``accepted_at`` has not come yet.
    """
    view = await get_case(session, case_id, agency=agency)
    case_id = view.case.id
    task = await repository.find_task(session, view.ids, APPOINTMENT_RULE, agency=agency)
    if task is None and view.is_coordinator:
        raise NoDutyToAppoint
    if task is None or task.assignee != agency or task.obliged not in COORDINATING:
        raise NotCoordinating
    appointed_at = now()
    if accepted_at is not None and accepted_at > appointed_at + CLOCK_SKEW:
        raise AcceptanceInFuture(pointer="#/accepted_at")
    evidence_id = new_id()
    appointment = Appointment(
        id=evidence_id,
        case_id=case_id,
        agency_id=agency,
        person=seals.seal(employee, evidence_id),
        accepted_at=accepted_at,
        appointed_at=appointed_at,
        appointed_by=by,
    )
    if not await repository.add_appointment(session, appointment):
        stored = await repository.get_appointment(session, case_id)
        if stored.accepted_at != accepted_at or seals.unseal(stored.person, stored.id) != employee:
            raise CaseManagerAlreadyAppointed
        return stored, False
    event = CaseManagerAppointed(
        case_id=case_id,
        alert_ids=tuple(await repository.alerts_of(session, view.reach)),
        evidence_id=evidence_id,
        appointed_at=appointed_at,
    )
    await outbox.add(session, event, subject=case_id, now=now)
    after_commit(session, lambda: log.info("case_manager_appointed", case_id=str(case_id)))
    return appointment, True


def open_employee(appointment: Appointment, seals: PersonSeals) -> Employee:
    """The person of the appointment."""
    return seals.unseal(appointment.person, appointment.id)
