"""A retired body's tasks, and its place as coordinator, have another owner."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from casework import repository
from casework.domain.task import State, heir_of
from common.db import Session
from common.timing import Now

_GOING_ON = (State.PENDING, State.OPEN)


async def take_passed(
    session: Session,
    alert_id: UUID,
    former: UUID,
    heirs: Mapping[str, UUID],
    *,
    at: datetime,
    now: Now,
) -> None:
    """Give the tasks that are not over to whoever takes the place; what was done stays where it is.

    Whoever is shut out of the case gets nothing: then notifier says who owes it.
    """
    cases = await repository.open_cases(session, [alert_id], now=now())
    case = cases[alert_id]
    await repository.add_successions(session, alert_id, former, heirs, at=at)
    shut_out = (await repository.shut_out_of(session, [case.id])).get(case.id, set())
    known = await repository.heirs_of(session, [alert_id])
    for task in await repository.tasks_of(session, [case.id], agency=former):
        heir = heir_of(known, alert_id, former, task.obliged)
        if task.state in _GOING_ON and heir != former and heir not in shut_out:
            task.assignee = heir
    await session.flush()
    if case.coordinating_agency == former and case.coordinating_role is not None:
        heir = heir_of(known, alert_id, former, case.coordinating_role)
        if heir not in shut_out:
            case.coordinating_agency = heir
            await repository.put_cases(session, [case])
