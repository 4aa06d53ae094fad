"""Door 2, events: what each does, inside the inbox's transaction."""

from collections.abc import Callable, Mapping
from uuid import UUID

from casework import service
from common.contracts import Event
from common.contracts.intake import AlertReceived
from common.contracts.notifier import ObligationBreached, ObligationMet, ObligationOpened, ObligationWaived
from common.db import Session
from common.inbox import Effect
from common.timing import Now

OpenAssignees = Callable[[str, UUID], Mapping[UUID, UUID]]
"""Opens ``assignees`` of an alert: obligation → agency."""


async def receive_alert(session: Session, event: AlertReceived, *, now: Now) -> None:
    """One case an alert."""
    await service.open_case(session, event, now=now)


async def receive_met(session: Session, event: ObligationMet, *, now: Now) -> None:
    """Tasks are closed."""
    await service.mark_met(session, event.alert_id, event.obligations, at=event.met_at, now=now)


async def receive_breached(session: Session, event: ObligationBreached, *, now: Now) -> None:
    """Tasks are marked late."""
    await service.mark_breached(session, event.alert_id, event.obligations, at=event.breached_at, now=now)


async def receive_waived(session: Session, event: ObligationWaived, *, now: Now) -> None:
    """Tasks are closed without having been done."""
    await service.mark_waived(session, event.alert_id, event.obligations, at=event.waived_at, now=now)


def effects(open_assignees: OpenAssignees) -> dict[type[Event], Effect]:
    """Every event casework reads."""

    async def receive_opened(session: Session, event: ObligationOpened, *, now: Now) -> None:
        assignees = open_assignees(event.assignees, event.alert_id)
        await service.take_duties(session, event, assignees, now=now)

    return {
        AlertReceived: receive_alert,
        ObligationOpened: receive_opened,
        ObligationMet: receive_met,
        ObligationBreached: receive_breached,
        ObligationWaived: receive_waived,
    }
