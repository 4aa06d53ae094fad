"""Shapes on the wire."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, StringConstraints

from casework.models import Task
from casework.service import CaseView, Employee
from common.schemas import In, Out

_DATE_AND_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ].+", re.ASCII | re.DOTALL)


def _written_out(value: Any) -> Any:
    # pydantic would take a bare number for seconds since 1970.
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE_AND_TIME.fullmatch(value)):
        return value
    raise ValueError("not a date and time")


def _utc(value: datetime) -> datetime:
    if not 1990 <= value.year <= 2200:  # also keeps conversion away from the ends of the calendar
        raise ValueError("out of range")
    return value.astimezone(UTC)


def _printable(value: str) -> str:
    if any(unicodedata.category(character).startswith("C") for character in value) or not value.strip():
        raise ValueError("not one line of text")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_utc)]
"""RFC 3339 with an offset; kept in UTC."""

Line = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]
"""One line of text."""


class EmployeeIn(In):
    """The person who is appointed."""

    name: Line
    position: Line

    def to_employee(self) -> Employee:
        """As the service takes it."""
        return Employee(self.name, self.position)


class CaseManagerIn(In):
    """The appointment; ``accepted_at`` is when the employee took it on, if that is known."""

    employee: EmployeeIn
    accepted_at: Instant | None = None


class EmployeeOut(Out):
    """The person who was appointed."""

    name: str
    position: str


class CaseManagerOut(Out):
    """The appointment; the person is shown to the body that coordinates."""

    evidence_id: UUID
    appointed_at: datetime
    accepted_at: datetime | None
    employee: EmployeeOut | None


class TaskOut(Out):
    """An act that the law asks of a body; ``late``: its formal limit passed, met or not."""

    id: UUID
    case_id: UUID
    obligation_id: UUID
    rule: str
    obliged: str
    recipient: str | None
    force: str
    state: str
    starts_at: datetime
    due_at: datetime | None
    breach_at: datetime | None
    met_at: datetime | None
    breached_at: datetime | None
    late: bool

    @classmethod
    def of(cls, row: Task) -> "TaskOut":
        """From a row; whose task it is, is not said."""
        values = row.model_dump(exclude={"assignee", "told_state"})
        return cls(**values, late=row.breached_at is not None)


class CaseOut(Out):
    """A case as this agency may see it.

    Attributes:
        opened_at: when the alert was received.
        coordinating: whether the caller coordinates.
        tasks: when one case is asked for: the caller's own, or all for the body that coordinates.
    """

    id: UUID
    state: str
    territory: str | None
    opened_at: datetime | None
    coordinating_role: str | None
    coordinating: bool
    case_manager: CaseManagerOut | None
    tasks: list[TaskOut] | None = None

    @classmethod
    def of(cls, view: CaseView, employee: Employee | None, *, with_tasks: bool) -> "CaseOut":
        """From a view; ``employee`` where the caller may see it."""
        case, appointment = view.case, view.appointment
        manager = None
        if appointment is not None:
            manager = CaseManagerOut(
                evidence_id=appointment.id,
                appointed_at=appointment.appointed_at,
                accepted_at=appointment.accepted_at,
                employee=None if employee is None else EmployeeOut.model_validate(employee),
            )
        return cls(
            id=case.id,
            state=case.state,
            territory=case.territory,
            opened_at=case.opened_at,
            coordinating_role=case.coordinating_role,
            coordinating=view.is_coordinator,
            case_manager=manager,
            tasks=[TaskOut.of(task) for task in view.tasks] if with_tasks else None,
        )
