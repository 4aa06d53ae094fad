"""What a reporter says of its own report later: it was otherwise, or it is taken back."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common import outbox
from common.contracts.intake import AlertCorrected, AlertFacts, AlertWithdrawn
from common.db import Session, after_commit
from common.identity import Principal
from common.telemetry import log
from intake import repository
from intake.domain import report as reports
from intake.domain.conflict import excluded
from intake.domain.matching import match_terms
from intake.domain.report import Report
from intake.errors import AlertUnknown, PlaceDiffers
from intake.repository import Alert, Correction
from intake.service.alerts import Room, is_own


@dataclass(frozen=True, slots=True)
class Corrected:
    """What the reporter gets back; ``version`` counts from 2, since the report itself is the first."""

    version: int
    corrected_at: datetime
    is_iin_doubtful: bool
    is_repeat: bool


async def correct_alert(
    session: Session, room: Room, handle: UUID, report: Report, *, reason: str, caller: Principal
) -> Corrected:
    """Put another report in the place of what was told; the former stays on record, sealed as it was.

    The same correction again is the stored one. Sealing needs no private key.

    Raises:
        AlertUnknown: there is none, it is not this caller's, or a conflict of interest shuts it out.
        PlaceDiffers: it says another region, so that other bodies would have to be told.
    """
    agency, seals, now = caller.agency, room.seals, room.now()
    alert = await _own_alert(session, room, handle, caller)
    if agency is None:
        raise AlertUnknown
    if report.territory.region != alert.facts["territory"]:
        raise PlaceDiffers
    await repository.lock_alert(session, alert.id)
    former = await repository.find_correction(session, alert.id)
    digest = seals.body_digest(report.canonical)
    if former is not None and former.body_digest == digest:
        return Corrected(former.no, former.corrected_at, former.is_iin_doubtful, is_repeat=True)
    facts = reports.facts_of(report, reporter=alert.facts["reporter"], received_at=alert.received_at)
    no = former.no + 1 if former else 2
    correction = Correction(
        no=no,
        facts=facts,
        is_iin_doubtful=bool(report.child.doubts()),
        body_digest=digest,
        corrected_at=now,
        record=seals.seal_record(alert.id, reports.child_record(report), no),
    )
    await repository.add_correction(
        session, alert.id, correction, reason=seals.seal_reason(alert.id, f"corrections/{no}", reason)
    )
    child = report.child
    terms = match_terms(child.name, child.birth_date, child.iin)
    marks = excluded(report.offender_relation, report.offender_agency)
    await repository.add_further_marks(
        session,
        alert.id,
        matches=[(term[0], seals.match_token(term)) for term in terms],
        denied=[seals.denial_token(alert.id, mark) for mark in marks],
    )
    event = AlertCorrected(
        alert_id=alert.id,
        version=no,
        corrected_at=now,
        facts=AlertFacts(**facts),
        routing=seals.seal_routing(alert.id, reports.routing_record(report, agency=agency)),
    )
    await outbox.add(session, event, subject=alert.id, now=room.now)
    after_commit(session, lambda: log.info("alert_corrected", alert_id=str(alert.id), version=no))
    return Corrected(no, now, correction.is_iin_doubtful, is_repeat=False)


async def withdraw_alert(
    session: Session, room: Room, handle: UUID, *, reason: str, caller: Principal
) -> tuple[datetime, bool]:
    """Note that the reporter takes the alert back: everybody who was told hears it, no duty ends.

    Returns:
        When, and whether it is new.

    Raises:
        AlertUnknown: there is none, it is not this caller's, or a conflict of interest shuts it out.
    """
    alert = await _own_alert(session, room, handle, caller)
    now = room.now()
    sealed = room.seals.seal_reason(alert.id, "withdrawals", reason)
    if not await repository.add_withdrawal(session, alert.id, reason=sealed, at=now):
        return await repository.find_withdrawal(session, alert.id) or now, False
    event = AlertWithdrawn(alert_id=alert.id, withdrawn_at=now)
    await outbox.add(session, event, subject=alert.id, now=room.now)
    after_commit(session, lambda: log.info("alert_withdrawn", alert_id=str(alert.id)))
    return now, True


async def _own_alert(session: Session, room: Room, handle: UUID, caller: Principal) -> Alert:
    alert = await repository.find_alert_by_handle(session, handle)
    if alert is None or not await is_own(session, room, alert, handle, caller):
        raise AlertUnknown
    return alert
