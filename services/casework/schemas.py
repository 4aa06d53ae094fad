"""Shapes on the wire."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints

from casework.domain.case import Employee, ScopedCoordinator
from casework.domain.record import Entry, Words
from casework.domain.task import breach_of
from casework.models import Appointment, Case, Record, Task
from common.contracts.vocabulary import CaseFactCode
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


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("blank")
    return value


Text = Annotated[str, StringConstraints(min_length=1, max_length=4000), AfterValidator(_not_blank)]
"""Some lines of text; kept sealed."""


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

    @classmethod
    def of(cls, row: Appointment, employee: Employee | None) -> "CaseManagerOut":
        """From a row; ``employee`` where the caller may see it."""
        return cls(
            evidence_id=row.id,
            appointed_at=row.appointed_at,
            accepted_at=row.accepted_at,
            employee=None if employee is None else EmployeeOut.model_validate(employee),
        )


class PaperIn(In):
    """The signed document behind a record; it stays with its body."""

    digest: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="SHA-256 of the document")
    reference: Line | None = Field(None, description="its number at the body")


class CaseRecordIn(In):
    """A signed fact of a case."""

    kind: CaseFactCode
    happened_at: Instant = Field(description="when it was done, not when it is told")
    person: EmployeeIn = Field(description="who signed it")
    document: PaperIn = PaperIn()
    outcome: Text | None = Field(None, description="what came of it; the reason of a decision not to act")
    supersedes: UUID | None = Field(None, description="the own record whose place this one takes")

    def to_entry(self) -> Entry:
        """As the service takes it."""
        return Entry(
            kind=self.kind.value,
            happened_at=self.happened_at,
            words=Words(self.person.name, self.person.position, self.document.reference, self.outcome),
            digest=self.document.digest,
            supersedes=self.supersedes,
        )


class DocumentOut(Out):
    """The signed document behind a record."""

    digest: str | None
    reference: str | None


class RecordOut(Out):
    """A record; person, reference and outcome are shown to the body whose record it is."""

    id: UUID
    kind: CaseFactCode
    happened_at: datetime
    recorded_at: datetime
    person: EmployeeOut | None
    document: DocumentOut
    outcome: str | None
    supersedes: UUID | None

    @classmethod
    def of(cls, row: Record, words: Words | None) -> "RecordOut":
        """From a row and, where the caller may read them, its words."""
        return cls(
            id=row.id,
            kind=CaseFactCode(row.kind),
            happened_at=row.happened_at,
            recorded_at=row.recorded_at,
            person=None if words is None else EmployeeOut(name=words.name, position=words.position),
            document=DocumentOut(digest=row.digest, reference=words.reference if words else None),
            outcome=words.outcome if words else None,
            supersedes=row.supersedes,
        )


class ExplanationOut(Out):
    """What the owner of a breach, or the body above, says of it."""

    by: Literal["owner", "superior"]
    explained_at: datetime
    reason: str


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
    waived_at: datetime | None
    late: bool
    evidence: list[str] = Field(description="kinds of record that meet it; `POST /v1/cases/{id}/records`")
    explanations: list[ExplanationOut] = Field([], description="why it was late, when one case is asked for")

    @classmethod
    def of(cls, row: Task, explanations: Sequence[ExplanationOut] = ()) -> "TaskOut":
        """From a row; whose task it is, is not said."""
        values = row.model_dump(exclude={"assignee", "told_state"})
        # All that was told is kept, so that its order does not matter; what stands of it is shown.
        values["breached_at"] = breach_of(row.breached_at, met_at=row.met_at, limit=row.breach_at)
        return cls(**values, late=values["breached_at"] is not None, explanations=list(explanations))


class CoordinatorOut(Out):
    """Who coordinates one part of the case, and by which rule."""

    scope: Literal["help", "supervision", "psychological_help", "joint_work_under_threat"]
    role: str
    rule: str
    agency: UUID | None = Field(description="`null`: the caller may not see it, or nobody holds the role")


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
    coordinators: list[CoordinatorOut] = Field([], description="when one case is asked for")
    tasks: list[TaskOut] | None = None
    joined: list[UUID] = Field(
        [], description="further cases of this child, for the body that coordinates: their ids lead here"
    )

    @classmethod
    def of(
        cls,
        case: Case,
        appointment: Appointment | None,
        employee: Employee | None,
        *,
        coordinating: bool,
        coordinators: Sequence[ScopedCoordinator],
        tasks: Sequence[Task] | None,
        explanations: Mapping[UUID, Sequence[ExplanationOut]],
        joined: Sequence[UUID] = (),
    ) -> "CaseOut":
        """From rows; ``employee`` where the caller may see it, ``tasks`` where they are asked for."""
        return cls(
            id=case.id,
            state=case.state,
            territory=case.territory,
            opened_at=case.opened_at,
            coordinating_role=case.coordinating_role,
            coordinating=coordinating,
            case_manager=None if appointment is None else CaseManagerOut.of(appointment, employee),
            coordinators=[CoordinatorOut.model_validate(one) for one in coordinators],
            tasks=None
            if tasks is None
            else [TaskOut.of(task, explanations.get(task.obligation_id, ())) for task in tasks],
            joined=list(joined),
        )
