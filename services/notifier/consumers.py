"""Door 2: events. Each takes effect once, inside the inbox's transaction."""

from collections.abc import Mapping, Sequence

from common.contracts import Event
from common.contracts.casework import CASE_FACTS, CaseFact, CaseManagerAppointed
from common.contracts.intake import AlertCorrected, AlertReceived, AlertWithdrawn, ContentOpened
from common.contracts.registry import (
    AgencyRegistered,
    AgencyRetired,
    BodyDeclaredAbsent,
    EndpointRegistered,
    EndpointRevoked,
    ReturnSubmitted,
)
from common.db import Session
from common.inbox import Effect, Received, Together
from common.timing import Now
from notifier.domain.later import LaterFact
from notifier.service import arriving, changes, directory, facts, periods, receipts
from notifier.service.desk import Desk

APPOINTED = "case_manager.appointed"
"""Code of the fact that has an event of its own."""


def _receive_return(desk: Desk) -> Effect:
    async def receive_return(session: Session, event: ReturnSubmitted, *, now: Now) -> None:
        await periods.take_return(session, desk, event, now=now())

    return receive_return


def effects(desk: Desk) -> Mapping[type[Event], Effect | Together]:
    """What each event does here."""

    async def receive_alerts(session: Session, received: Sequence[Received], *, now: Now) -> None:
        await arriving.take_alerts(session, desk, received, now=now())

    async def correct_alert(session: Session, event: AlertCorrected, *, now: Now) -> None:
        await changes.correct(session, desk, event, now=now())

    async def withdraw_alert(session: Session, event: AlertWithdrawn, *, now: Now) -> None:
        await changes.withdraw(session, desk, event, now=now())

    async def open_content(session: Session, event: ContentOpened, *, now: Now) -> None:
        await receipts.open_content(
            session, desk, event.delivery_id, at=event.opened_at, person=event.person, now=now()
        )

    async def appoint_case_manager(session: Session, event: CaseManagerAppointed, *, now: Now) -> None:
        fact = LaterFact(id=event.evidence_id, code=APPOINTED, at=event.appointed_at)
        await facts.take_fact(session, desk, fact, event.alert_ids, actor="casework", now=now())

    async def take_case_fact(session: Session, event: CaseFact, *, now: Now) -> None:
        fact = LaterFact(
            id=event.evidence_id,
            code=event.fact,
            at=event.happened_at,
            agency=facts.open_body(desk, event.evidence_id, event.by) if event.by else None,
            replaces=event.supersedes,
        )
        await facts.take_fact(session, desk, fact, event.alert_ids, actor="casework", now=now())

    async def register_agency(session: Session, event: AgencyRegistered, *, now: Now) -> None:
        await directory.take_agency(session, desk, event, now=now())

    async def retire_agency(session: Session, event: AgencyRetired, *, now: Now) -> None:
        await directory.retire_agency(session, event, now=now())

    async def register_endpoint(session: Session, event: EndpointRegistered, *, now: Now) -> None:
        await directory.take_endpoint(session, desk, event, now=now())

    async def revoke_endpoint(session: Session, event: EndpointRevoked, *, now: Now) -> None:
        await directory.take_revocation(session, desk, event, now=now())

    async def declare_absence(session: Session, event: BodyDeclaredAbsent, *, now: Now) -> None:
        await directory.take_absence(session, desk, event, now=now())

    return {
        AlertReceived: Together(receive_alerts),
        AlertCorrected: correct_alert,
        AlertWithdrawn: withdraw_alert,
        ContentOpened: open_content,
        CaseManagerAppointed: appoint_case_manager,
        **dict.fromkeys(CASE_FACTS, take_case_fact),
        AgencyRegistered: register_agency,
        AgencyRetired: retire_agency,
        EndpointRegistered: register_endpoint,
        EndpointRevoked: revoke_endpoint,
        BodyDeclaredAbsent: declare_absence,
        ReturnSubmitted: _receive_return(desk),
    }
