"""Cases, and who may look at them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from casework import repository
from casework.domain.case import ScopedCoordinator, coordinators_of
from casework.domain.task import State
from casework.errors import CaseUnknown
from casework.models import Appointment, Case, Explanation, Task
from common.contracts.intake import AlertReceived
from common.db import Session, after_commit
from common.telemetry import log
from common.timing import Now

_GOING_ON = (State.PENDING, State.OPEN)


@dataclass(frozen=True)
class CaseView:
    """A case as one agency may see it.

    Attributes:
        tasks: the agency's own; all of them for the body that coordinates.
        appointment: of the case manager, if there is one.
        coordinators: who coordinates which part; only where one case is asked for.
        explanations: what is said of breached tasks, by duty; only where one case is asked for.
    """

    case: Case
    is_coordinator: bool
    tasks: Sequence[Task]
    appointment: Appointment | None
    coordinators: Sequence[ScopedCoordinator] = ()
    explanations: Mapping[UUID, Sequence[Explanation]] = field(default_factory=dict)


async def open_cases(session: Session, alerts: Sequence[AlertReceived], *, now: Now) -> None:
    """Open one case for each alert; what came before its alert is kept."""
    cases = await repository.open_cases(session, (alert.alert_id for alert in alerts), now=now())
    for alert in alerts:
        case = cases[alert.alert_id]
        case.territory = alert.territory
        case.opened_at = min(case.opened_at or alert.received_at, alert.received_at)
    await repository.put_cases(session, cases.values())
    await repository.note_receipts(session, {alert.alert_id: alert.received_at for alert in alerts})
    ids = [str(case.id) for case in cases.values()]

    def tell() -> None:
        for case_id in ids:
            log.info("case_opened", case_id=case_id)

    after_commit(session, tell)


async def get_case(session: Session, case_id: UUID, *, agency: UUID) -> CaseView:
    """The case.

    Raises:
        CaseUnknown: none, or the agency has no part in it: nobody can tell the two apart.
    """
    case = await repository.find_case(session, case_id, agency=agency)
    if case is None:
        raise CaseUnknown
    is_coordinator = case.coordinating_agency == agency
    every = await repository.tasks_of(session, [case_id], agency=None)
    tasks = every if is_coordinator else [task for task in every if task.assignee == agency]
    appointments = await repository.appointments_of(session, [case_id])
    coordinators = coordinators_of(
        (task.rule, task.obliged, task.assignee if is_coordinator else None)
        for task in every
        if task.state in _GOING_ON
    )
    explanations = await repository.explanations_of(
        session, [task.obligation_id for task in tasks if task.breached_at is not None]
    )
    return CaseView(case, is_coordinator, tasks, appointments.get(case_id), coordinators, explanations)


async def list_cases(
    session: Session, *, agency: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> list[CaseView]:
    """The agency's cases, newest first, without their tasks."""
    cases = await repository.list_cases(session, agency=agency, after=after, limit=limit)
    appointments = await repository.appointments_of(session, [case.id for case in cases])
    return [
        CaseView(case, case.coordinating_agency == agency, (), appointments.get(case.id)) for case in cases
    ]


async def list_tasks(
    session: Session,
    *,
    agency: UUID,
    state: str | None,
    after: tuple[datetime | None, UUID] | None,
    limit: int,
) -> list[Task]:
    """The agency's own tasks, the most pressing first."""
    return await repository.list_tasks(session, agency=agency, state=state, after=after, limit=limit)
