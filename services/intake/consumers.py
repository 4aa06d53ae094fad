"""Door 2, events: what each does, inside the inbox's transaction."""

from common.contracts import Event
from common.contracts.notifier import (
    ConflictLowered,
    ConflictRaised,
    JoiningDeclined,
    JoiningMade,
    JoiningUndone,
)
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

    async def take_made(session: Session, event: JoiningMade, *, now: Now) -> None:  # noqa: ARG001  # the signature of every effect
        await service.take_verdict(session, event.pair, "joined", event.no)

    async def take_apart(session: Session, event: JoiningUndone | JoiningDeclined, *, now: Now) -> None:  # noqa: ARG001  # the signature of every effect
        await service.take_verdict(session, event.pair, "apart", event.no)

    return {
        ConflictRaised: raise_conflict,
        ConflictLowered: lower_conflict,
        JoiningMade: take_made,
        JoiningUndone: take_apart,
        JoiningDeclined: take_apart,
    }
