"""Door 2, events: what each does, inside the inbox's transaction."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from casework import service
from casework.domain.task import Facts
from common.contracts import Event
from common.contracts.intake import AlertReceived
from common.contracts.notifier import (
    BreachExplained,
    ConflictLowered,
    ConflictRaised,
    JoiningMade,
    JoiningUndone,
    ObligationBreached,
    ObligationMet,
    ObligationOpened,
    ObligationPassed,
    ObligationWaived,
)
from common.db import Session
from common.inbox import Effect, Received, Together
from common.timing import Now

PATIENCE_SECONDS = 0.1
"""Nobody waits for a task to the tenth of a second, and an alert tells of its duties several times."""

OpenAssignees = Callable[[str, UUID], Mapping[UUID, UUID]]
"""Opens ``assignees`` of an alert: obligation → agency."""

OpenShutOut = Callable[[str, UUID], tuple[frozenset[UUID], Mapping[UUID, UUID]]]
"""Opens ``shut_out`` of an alert: agencies, and who owes now what they owed."""


async def receive_alerts(session: Session, received: Sequence[Received], *, now: Now) -> None:
    """One case an alert."""
    await service.open_cases(session, [one.event for one in received], now=now)


async def receive_met(session: Session, received: Sequence[Received], *, now: Now) -> None:
    """Tasks are closed."""
    events: list[ObligationMet] = [one.event for one in received]
    told = [(event.alert_id, event.obligations, Facts(met_at=event.met_at)) for event in events]
    await service.take_facts(session, told, now=now)


async def receive_breached(session: Session, received: Sequence[Received], *, now: Now) -> None:
    """Tasks are marked late."""
    events: list[ObligationBreached] = [one.event for one in received]
    told = [(event.alert_id, event.obligations, Facts(breached_at=event.breached_at)) for event in events]
    await service.take_facts(session, told, now=now)


async def receive_waived(session: Session, received: Sequence[Received], *, now: Now) -> None:
    """Tasks are closed without having been done."""
    events: list[ObligationWaived] = [one.event for one in received]
    told = [(event.alert_id, event.obligations, Facts(waived_at=event.waived_at)) for event in events]
    await service.take_facts(session, told, now=now)


class SealsOfEvents(service.Explaining, Protocol):
    """Opens what notifier sealed for us, and seals reasons for our own rows."""

    def open_passed(self, sealed: str, alert_id: UUID) -> tuple[UUID, Mapping[str, UUID]]:
        """Which body is retired, and who takes its place by role."""
        ...

    def open_explanation(self, sealed: str, alert_id: UUID, statement_id: UUID) -> str:
        """What a body says of a breach."""
        ...


def effects(
    open_assignees: OpenAssignees, open_shut_out: OpenShutOut, seals: SealsOfEvents
) -> dict[type[Event], Effect | Together]:
    """Every event casework reads."""

    async def receive_opened(session: Session, received: Sequence[Received], *, now: Now) -> None:
        events: list[ObligationOpened] = [one.event for one in received]
        told = [(event, open_assignees(event.assignees, event.alert_id)) for event in events]
        await service.take_duties(session, told, now=now)

    async def raise_conflict(session: Session, event: ConflictRaised, *, now: Now) -> None:
        agencies, assignees = open_shut_out(event.shut_out, event.alert_id)
        await service.raise_conflict(
            session, event.alert_id, agencies, assignees, at=event.raised_at, now=now
        )

    async def lower_conflict(session: Session, event: ConflictLowered, *, now: Now) -> None:  # noqa: ARG001  # the signature of every effect
        agencies, _ = open_shut_out(event.shut_out, event.alert_id)
        await service.lower_conflict(session, event.alert_id, agencies, at=event.lowered_at)

    async def take_passed(session: Session, event: ObligationPassed, *, now: Now) -> None:
        former, heirs = seals.open_passed(event.passed, event.alert_id)
        await service.take_passed(session, event.alert_id, former, heirs, at=event.passed_at, now=now)

    async def take_explanation(session: Session, event: BreachExplained, *, now: Now) -> None:  # noqa: ARG001  # the signature of every effect
        await service.take_explanation(
            session,
            event.statement_id,
            event.obligation_id,
            by=event.by,
            reason=seals.open_explanation(event.explanation, event.alert_id, event.statement_id),
            at=event.explained_at,
            seals=seals,
        )

    async def take_joining(session: Session, event: JoiningMade | JoiningUndone, *, now: Now) -> None:
        await service.join_cases(
            session, {each.alert_id: each.head_id for each in event.heads}, event.no, now=now
        )

    return {
        AlertReceived: Together(receive_alerts, patience=PATIENCE_SECONDS),
        ObligationOpened: Together(receive_opened, patience=PATIENCE_SECONDS),
        ObligationMet: Together(receive_met, patience=PATIENCE_SECONDS),
        ObligationBreached: Together(receive_breached, patience=PATIENCE_SECONDS),
        ObligationWaived: Together(receive_waived, patience=PATIENCE_SECONDS),
        ObligationPassed: take_passed,
        BreachExplained: take_explanation,
        ConflictRaised: raise_conflict,
        ConflictLowered: lower_conflict,
        JoiningMade: take_joining,
        JoiningUndone: take_joining,
    }
