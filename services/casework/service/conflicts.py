"""Who must not be able to tell that a case exists; what they owed has another owner."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from casework import repository
from casework.domain.case import COORDINATING, Coordinator, choose_coordinator
from common.db import Session
from common.timing import Now


async def raise_conflict(
    session: Session,
    alert_id: UUID,
    agencies: Collection[UUID],
    assignees: Mapping[UUID, UUID],
    *,
    at: datetime,
    now: Now,
) -> None:
    """Hide the case from these agencies and give what they owed to whoever owes it now.

    ``assignees`` is the owner by obligation; what is not in it has none until notifier says so.
    """
    cases = await repository.open_cases(session, [alert_id], now=now())
    case = cases[alert_id]
    await repository.change_exclusions(session, alert_id, agencies, raised_at=at)
    shut_out = (await repository.shut_out_of(session, [case.id])).get(case.id, set())
    tasks = await repository.tasks_of(session, [case.id], agency=None)
    for task in tasks:
        if task.assignee in shut_out:
            task.assignee = assignees.get(task.obligation_id)
    await session.flush()
    if case.coordinating_agency in shut_out:
        chosen = choose_coordinator(
            Coordinator(task.obliged, task.assignee)
            for task in tasks
            if task.obliged in COORDINATING and task.assignee is not None
        )
        case.coordinating_role = chosen.role if chosen else None
        case.coordinating_agency = chosen.agency if chosen else None
        await repository.put_cases(session, [case])


async def lower_conflict(
    session: Session, alert_id: UUID, agencies: Collection[UUID], *, at: datetime
) -> None:
    """Let these agencies see the case again, as far as they have a part in it."""
    await repository.change_exclusions(session, alert_id, agencies, lifted_at=at)
