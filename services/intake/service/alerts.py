"""Alerts: received, read, matched, and the content behind a notice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from common import outbox
from common.contracts.intake import AlertReceived
from common.db import Session, after_commit
from common.identity import Principal
from common.ids import new_id
from common.telemetry import log
from common.timing import Now
from intake import repository
from intake.domain import report as reports
from intake.domain.conflict import excluded, marks_of
from intake.domain.flood import LONGEST_WINDOW, SOURCE_WINDOW, WORDS_WINDOW, has_words, is_flood
from intake.domain.matching import match_terms
from intake.domain.number import new_number, new_receipt_code
from intake.domain.report import Report
from intake.domain.seals import SealedRecord, Seals
from intake.errors import (
    AlertUnknown,
    NoFreeNumber,
    RepeatContradicts,
    ReporterUnknown,
    ReportKeyTooShort,
)
from intake.repository import Alert

KEY_KEPT: Final = timedelta(hours=72)
"""How long an idempotency key is remembered; a reference of the sender's is remembered for good."""

NUMBER_TRIES: Final = 5
MOST_MATCHES: Final = 100
COORDINATING: Final = ("regional_child_rights_body", "guardianship_body")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the reporter gets back; ``is_repeat`` when the alert was there before."""

    id: UUID
    number: str
    received_at: datetime
    is_iin_doubtful: bool
    is_repeat: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """Another alert that may be about the same child, by this caller's own id for it."""

    alert: UUID
    received_on: str
    shared: tuple[str, ...]
    state: str
    match: str


@dataclass(frozen=True)
class Room:
    """What every use case of intake works with."""

    seals: Seals
    now: Now


async def receive_alert(
    session: Session, room: Room, report: Report, *, caller: Principal, key: str | None
) -> Receipt:
    """Accept a report as an alert and tell the others: both or neither.

    A repeat with the same body gets the first alert; needs no private key and no other service.

    Raises:
        RepeatContradicts: the key or the reference was used for another body.
        ReporterUnknown: the token names no agency.
    """
    agency = caller.agency
    if agency is None:
        raise ReporterUnknown
    seals, now = room.seals, room.now()
    alert_id = new_id()
    alert = Alert(
        id=alert_id,
        handle=seals.handle(alert_id, agency),
        number="",
        received_at=now,
        is_iin_doubtful=bool(report.child.doubts()),
        facts=reports.facts_of(report, reporter=reports.reporter_of(caller.bodies), received_at=now),
    )
    sealed = _seal(room, report, alert_id, agency=agency, subject=caller.subject)
    first = await _first_of_repeats(session, room, report, alert_id, agency=agency, key=key)
    if first is not None:
        return first
    alert = await _keep(session, room, report, alert, sealed)
    return _receipt(alert, is_repeat=False)


async def receive_report(
    session: Session, room: Room, report: Report, *, reporter: str, source: bytes, key: str | None
) -> tuple[Receipt, str | None]:
    """Accept a report of somebody without an account; the hub holds it. Refuses as ``receive_alert`` does.

    ``source`` is a keyed hash of where it came from; a key that others could guess is refused. The receipt
    code is answered now and never again, so a repeat has none.
    """
    if key is not None and len(key) < reports.SHORTEST_PUBLIC_KEY:
        raise ReportKeyTooShort
    seals, now = room.seals, room.now()
    alert_id = new_id()
    alert = Alert(
        id=alert_id,
        # Nobody's own id of it: there is no agency that could ask.
        handle=seals.handle(alert_id, alert_id),
        number="",
        received_at=now,
        is_iin_doubtful=bool(report.child.doubts()),
        facts=reports.facts_of(report, reporter=reporter, received_at=now),
    )
    sealed = _seal(room, report, alert_id, agency=None, subject=reporter)
    first = await _first_of_repeats(session, room, report, alert_id, agency=reports.PUBLIC, key=key)
    if first is not None:
        return first, None
    source_token = seals.trace_token("source", source)
    said = report.canonical if has_words(report.narrative) else alert_id.bytes
    words = seals.trace_token("words", said)
    clustered = is_flood(
        from_source=await repository.count_traces(session, source=source_token, since=now - SOURCE_WINDOW),
        same_words=await repository.count_traces(session, words=words, since=now - WORDS_WINDOW),
    )
    await repository.add_trace(
        session, {"alert_id": alert_id, "source": source_token, "words": words, "received_at": now}
    )
    code = new_receipt_code()
    await repository.add_receipt_code(session, seals.receipt_token(code), alert_id)
    alert = await _keep(session, room, report, alert, sealed, clustered=clustered)
    if clustered:
        after_commit(session, lambda: log.warning("report_clustered", alert_id=str(alert_id)))
    return _receipt(alert, is_repeat=False), code


@dataclass(frozen=True, slots=True)
class _Sealed:
    record: SealedRecord = field(repr=False)
    vault: bytes = field(repr=False)
    routing: str = field(repr=False)


def _seal(room: Room, report: Report, alert_id: UUID, *, agency: UUID | None, subject: str) -> _Sealed:
    """All sealing comes before the first statement: nobody waits for a lock while we reckon."""
    seals = room.seals
    return _Sealed(
        seals.seal_record(alert_id, reports.child_record(report)),
        seals.seal_reporter(alert_id, reports.reporter_record(report, agency=agency, subject=subject)),
        seals.seal_routing(alert_id, reports.routing_record(report, agency=agency)),
    )


async def _keep(
    session: Session, room: Room, report: Report, alert: Alert, sealed: _Sealed, *, clustered: bool = False
) -> Alert:
    """Store a new alert under a number and tell the others."""
    alert_id, seals = alert.id, room.seals
    alert = await _numbered(session, alert)
    await repository.add_records(session, alert_id, sealed.record, sealed.vault)
    child = report.child
    terms = match_terms(child.name, child.birth_date, child.iin)
    await repository.add_match_tokens(
        session, alert_id, [(term[0], seals.match_token(term)) for term in terms]
    )
    marks = excluded(report.offender_relation, report.offender_agency)
    await repository.add_denials(session, alert_id, [seals.denial_token(alert_id, mark) for mark in marks])
    event = AlertReceived(
        alert_id=alert_id,
        number=alert.number,
        received_at=alert.received_at,
        routing=sealed.routing,
        clustered=clustered,
        **alert.facts,
    )
    await outbox.add(session, event, subject=alert_id, now=room.now)
    after_commit(session, lambda: log.info("alert_received", alert_id=str(alert_id)))
    return alert


async def _first_of_repeats(
    session: Session, room: Room, report: Report, alert_id: UUID, *, agency: UUID, key: str | None
) -> Receipt | None:
    """Take the key and the reference for this alert, or find the alert that holds them."""
    tokens: dict[bytes, datetime | None] = {}
    if key is not None:
        tokens[room.seals.repeat_token("key", agency, key)] = room.now() + KEY_KEPT
    if report.reference is not None:
        tokens[room.seals.repeat_token("reference", agency, report.reference)] = None
    digest = room.seals.body_digest(report.canonical)
    held = await repository.claim_repeat_keys(session, tokens, alert_id=alert_id, body_digest=digest)
    if not held:
        return None
    firsts = {one.alert_id for one in held}
    if len(firsts) > 1 or any(one.body_digest != digest for one in held):
        raise RepeatContradicts
    first = await repository.find_alert(session, firsts.pop())
    if first is None:
        raise RepeatContradicts
    await repository.move_repeat_keys(session, list(tokens), taken_for=alert_id, first=first.id)
    return _receipt(first, is_repeat=True)


async def _numbered(session: Session, alert: Alert) -> Alert:
    """Store the alert under a number that nobody has."""
    for _ in range(NUMBER_TRIES):
        numbered = Alert(
            alert.id,
            alert.handle,
            new_number(),
            alert.received_at,
            alert.is_iin_doubtful,
            alert.facts,
        )
        if await repository.add_alert(session, numbered):
            return numbered
    raise NoFreeNumber


async def read_alert(session: Session, room: Room, alert_id: UUID, *, caller: Principal) -> Alert:
    """The alert, for its reporter by the reporter's own id, or for an operator.

    Raises:
        AlertUnknown: there is none, it is not this caller's, or a conflict of interest shuts it out.
    """
    if caller.role == "operator":
        found = await repository.find_alert(session, alert_id)
        alert = found or await repository.find_alert_by_handle(session, alert_id)
    else:
        alert = await repository.find_alert_by_handle(session, alert_id)
        if alert is not None and not await is_own(session, room, alert, alert_id, caller):
            alert = None
    if alert is None:
        raise AlertUnknown
    return alert


async def list_matches(
    session: Session, room: Room, handle: UUID, *, caller: Principal
) -> tuple[Proposal, ...]:
    """Alerts that may be about the same child, for the body that coordinates help.

    Only alerts of the caller's own territory, and none that a conflict of interest shuts it out of.

    Raises:
        AlertUnknown: there is no such alert, or the caller has neither sent nor opened it.
    """
    if caller.agency is None or not caller.holds(*COORDINATING):
        raise AlertUnknown
    alert = await repository.find_alert_by_handle(session, handle)
    alert = alert or await repository.find_opened_alert(session, handle)
    if alert is None or not await is_own(session, room, alert, handle, caller):
        raise AlertUnknown
    matches = await repository.list_matches(session, alert.id, limit=MOST_MATCHES)
    others = await repository.list_alerts(session, [match.alert_id for match in matches])
    shut = await find_denied(session, room, [other.id for other in others], caller)
    verdicts = await repository.list_verdicts(session, alert.id)
    return tuple(
        Proposal(
            alert=room.seals.handle(other.id, caller.agency),
            received_on=reports.local_day(other.received_at).isoformat(),
            shared=tuple(match.kind for match in matches if match.alert_id == other.id),
            state=verdicts.get(other.id, "proposed"),
            match=room.seals.seal_match((alert.id, other.id)),
        )
        for other in others
        if other.id not in shut and caller.territory in {other.facts["territory"], "KZ"}
    )


async def take_denials(
    session: Session,
    room: Room,
    alert_id: UUID,
    sealed: str,
    *,
    raised_at: datetime | None = None,
    lifted_at: datetime | None = None,
) -> None:
    """A conflict of interest was raised or lowered: content and receipt of the alert follow.

    Raises:
        SealBroken: altered, or for another alert.
        KeyMissing: the key is away; the event comes again.
    """
    tokens = [room.seals.denial_token(alert_id, mark) for mark in room.seals.open_denials(alert_id, sealed)]
    await repository.change_denials(session, alert_id, tokens, raised_at=raised_at, lifted_at=lifted_at)


async def take_verdict(session: Session, pair: tuple[UUID, UUID], state: str, no: int) -> None:
    """A person has joined two alerts, parted them, or found that they are not about one child."""
    await repository.put_verdict(session, pair, state, no)


async def forget_keys(session: Session, *, now: datetime) -> None:
    """Drop idempotency keys that nobody will repeat any more, and what the flood guard has counted."""
    await repository.forget_repeat_keys(session, now=now)
    await repository.forget_traces(session, before=now - LONGEST_WINDOW)


async def is_own(session: Session, room: Room, alert: Alert, handle: UUID, caller: Principal) -> bool:
    """Whether the handle is this caller's, and no conflict of interest shuts it out."""
    if caller.agency is None or room.seals.handle(alert.id, caller.agency) != handle:
        return False
    return not await find_denied(session, room, [alert.id], caller)


async def find_denied(
    session: Session, room: Room, alert_ids: Sequence[UUID], caller: Principal
) -> set[UUID]:
    """Those of the alerts that a conflict of interest shuts the caller out of."""
    # What the caller holds itself: a body that stands in for one that is shut out reads under its role.
    marks = set(marks_of(caller.agency, caller.bodies))
    tokens = {alert_id: [room.seals.denial_token(alert_id, mark) for mark in marks] for alert_id in alert_ids}
    return await repository.list_denied(session, tokens)


def _receipt(alert: Alert, *, is_repeat: bool) -> Receipt:
    return Receipt(alert.handle, alert.number, alert.received_at, alert.is_iin_doubtful, is_repeat)
