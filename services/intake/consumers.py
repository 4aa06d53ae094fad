"""Door 2, events: what each does, inside the inbox's transaction."""

from common.contracts import Event
from common.contracts.notifier import ConflictLowered, ConflictRaised
from common.db import Session
from common.inbox import Effect
from common.timing import Now
from intake import service
from intake.service import Room


def effects(room: Room) -> dict[type[Event], Effect]:
    """Every event intake reads."""

    async def raise_conflict(session: Session, event: ConflictRaised, *, now: Now) -> None:  # noqa: ARG001  # the signature of every effect
        await service.take_denials(session, room, event.alert_id, event.denied, raised_at=event.raised_at)

    async def lower_conflict(session: Session, event: ConflictLowered, *, now: Now) -> None:  # noqa: ARG001  # the signature of every effect
        await service.take_denials(session, room, event.alert_id, event.denied, lifted_at=event.lowered_at)

    return {ConflictRaised: raise_conflict, ConflictLowered: lower_conflict}
