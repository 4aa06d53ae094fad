"""Cases, and who may look at them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from casework import repository
from casework.domain.case import COORDINATION_RULE, ScopedCoordinator, coordinators_of
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
        joined: further cases of this child, for a body that coordinates one of them; only where one case
            is asked for. Of those it has no part in it is told nothing, and nobody else of any.
        coordinated: those of the joined cases, this one included, that the agency coordinates.
        reach: the cases that a fact which the agency records here is about.
        is_coordinated: somebody coordinates what the agency sees as this case, or owed it at any time (joint
            order ¶17); only where one case is asked for.
    """

    case: Case
    is_coordinator: bool
    tasks: Sequence[Task]
    appointment: Appointment | None
    coordinators: Sequence[ScopedCoordinator] = ()
    explanations: Mapping[UUID, Sequence[Explanation]] = field(default_factory=dict)
    joined: Sequence[UUID] = ()
    coordinated: frozenset[UUID] = frozenset()
    reach: Sequence[UUID] = ()
    is_coordinated: bool = True

    @property
    def ids(self) -> tuple[UUID, ...]:
        """The case, and those that are shown as one with it."""
        return self.case.id, *self.joined


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


async def join_cases(session: Session, heads: Mapping[UUID, UUID], no: int, *, now: Now) -> None:
    """Let the cases of these alerts point to the case that continues, or stand alone again.

    Args:
        heads: for each alert the one whose case continues.
        no: notifier's count; of two tellings the greater counts.
    """
    cases = await repository.open_cases(session, [*heads, *heads.values()], now=now())
    pointing = {cases[alert].id: cases[head].id for alert, head in heads.items()}
    await repository.point_cases(session, pointing, no)
    count = sum(case_id != head for case_id, head in pointing.items())
    after_commit(session, lambda: log.info("cases_joined", count=count, no=no))


async def get_case(session: Session, case_id: UUID, *, agency: UUID) -> CaseView:
    """The case; for a body that coordinates, with what it is joined with.

    Raises:
        CaseUnknown: none, or the agency has no part in it: nobody can tell the two apart.
    """
    asked = await repository.find_case(session, case_id, agency=agency)
    if asked is None:
        raise CaseUnknown
    together, reach = await _together(session, asked, agency)
    case = together[0]
    # Joining widens nobody's right: who coordinates one of the joined cases sees that one's tasks.
    coordinated = {each.id for each in together if each.coordinating_agency == agency}
    every = await repository.tasks_of(session, [each.id for each in together], agency=None)
    tasks = [task for task in every if task.case_id in coordinated or task.assignee == agency]
    appointments = await repository.appointments_of(session, [each.id for each in together])
    coordinators = coordinators_of(
        (task.rule, task.obliged, task.assignee if task.case_id in coordinated else None)
        for task in every
        if task.state in _GOING_ON
    )
    explanations = await repository.explanations_of(
        session, [task.obligation_id for task in tasks if task.breached_at is not None]
    )
    first = next((appointments[each.id] for each in together if each.id in appointments), None)
    return CaseView(
        case,
        case.id in coordinated,
        tasks,
        first,
        coordinators,
        explanations,
        tuple(each.id for each in together[1:]),
        frozenset(coordinated),
        reach,
        any(each.coordinating_agency for each in together)
        or any(task.rule == COORDINATION_RULE for task in every),
    )


async def _together(session: Session, asked: Case, agency: UUID) -> tuple[list[Case], list[UUID]]:
    """The case as the agency may see it joined, the first that it knows first; and what its facts are about.

    Who coordinates none of them is answered as if nothing were joined, like at notifier's door: a second
    alert, and when it came, is nothing that it is told. Its facts are about its own case too; a duty that
    followed from one in another case would come to it by a notice, and tell it as well.
    """
    every = await repository.cases_together(session, asked.id)
    coordinated = {each.id for each in every if each.coordinating_agency == agency}
    if len(every) == 1 or not coordinated:
        return [asked], [asked.id]
    tasks = await repository.tasks_of(session, [each.id for each in every], agency=agency)
    known = coordinated | {task.case_id for task in tasks}
    # Its duties may be told after the joining: until then nobody coordinates that one.
    untold = {each.id for each in every if each.coordinating_agency is None}
    return [each for each in every if each.id in known], sorted(known | untold)


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
