"""Signed records: what was done in a case, by whom, with which document. Never edited, only superseded."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from casework import repository
from casework.domain.record import OF_THE_CASE, REASONED, Entry, Part, Words, may_record
from casework.errors import (
    RecordInFuture,
    RecordNeedsReason,
    RecordNotYours,
    RecordSuperseded,
    RecordUnknown,
)
from casework.models import Record
from casework.service.cases import CaseView, get_case
from common import outbox
from common.contracts.casework import EVENT_OF, CaseFact, CaseFactRecorded
from common.db import Session, after_commit
from common.ids import new_id
from common.telemetry import log
from common.timing import Now

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of ours an agency's clock may go."""


class RecordSeals(Protocol):
    """Seals the words of a record into its place, and the recording body for notifier alone."""

    def seal_words(self, words: Words, place: UUID) -> bytes:
        """For the record with this id."""

    def unseal_words(self, sealed: bytes, place: UUID) -> Words:
        """From the record with this id."""

    def seal_body(self, agency: UUID, place: UUID) -> str:
        """Which body recorded it; base64."""

    def token(self, document: bytes) -> bytes:
        """Keyed digest: the same record told twice is one."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record and its words; ``words`` only for the body whose record it is."""

    row: Record
    words: Words | None


async def add_record(
    session: Session,
    case_id: UUID,
    entry: Entry,
    *,
    agency: UUID,
    by: str,
    seals: RecordSeals,
    now: Now,
) -> tuple[Recorded, bool]:
    """Store a record and tell notifier, both or neither.

    Returns:
        The record, and whether it is new; a repeat with the same content is not.

    Raises:
        CaseUnknown: the agency has no part in the case.
        RecordNotYours: no task of the agency asks for it, and it is not its to decide.
        RecordInFuture: ``happened_at`` has not come yet.
        RecordNeedsReason: a decision not to do something, without its reason.
        RecordUnknown: ``supersedes`` names no record of this agency and kind in this case.
        RecordSuperseded: another record has taken that one's place.
    """
    view = await get_case(session, case_id, agency=agency)
    case_id = view.case.id
    parts = [
        Part(task.obliged, tuple(task.evidence), task.state) for task in view.tasks if task.assignee == agency
    ]
    if not may_record(entry.kind, parts, coordinates=view.is_coordinator, is_coordinated=view.is_coordinated):
        raise RecordNotYours
    recorded_at = now()
    if entry.happened_at > recorded_at + CLOCK_SKEW:
        raise RecordInFuture(pointer="#/happened_at")
    if entry.kind in REASONED and entry.words.outcome is None:
        raise RecordNeedsReason(pointer="#/outcome")
    await repository.lock_case(session, case_id)
    token = seals.token(_written(case_id, agency, entry))
    stored = await repository.find_record_by_token(session, token)
    if stored is not None:
        return Recorded(stored, entry.words), False
    if entry.supersedes is not None:
        await _check_superseded(session, view.ids, entry, agency)
    record_id = new_id()
    row = Record(
        id=record_id,
        case_id=case_id,
        kind=entry.kind,
        agency_id=agency,
        happened_at=entry.happened_at,
        digest=entry.digest,
        sealed=seals.seal_words(entry.words, record_id),
        token=token,
        supersedes=entry.supersedes,
        recorded_at=recorded_at,
        recorded_by=by,
    )
    await repository.add_record(session, row)
    event = _event(row, await repository.alerts_of(session, view.reach), seals)
    await outbox.add(session, event, subject=case_id, now=now)
    after_commit(session, lambda: log.info("case_fact_recorded", case_id=str(case_id), kind=row.kind))
    return Recorded(row, entry.words), True


async def list_records(
    session: Session, case_id: UUID, *, agency: UUID, seals: RecordSeals
) -> Sequence[Recorded]:
    """What was recorded in a case, as it happened: the body's own, or all of it for the one that coordinates.

    Words are shown to the body whose record it is, to nobody else.

    Raises:
        CaseUnknown: none, or the agency has no part in it.
    """
    view: CaseView = await get_case(session, case_id, agency=agency)
    rows = await repository.records_of(session, view.ids, agency=None if view.coordinated else agency)
    return [
        Recorded(row, seals.unseal_words(row.sealed, row.id) if row.agency_id == agency else None)
        for row in rows
        if row.agency_id == agency or row.case_id in view.coordinated
    ]


async def _check_superseded(session: Session, case_ids: Collection[UUID], entry: Entry, agency: UUID) -> None:
    former = await repository.find_record(session, entry.supersedes) if entry.supersedes else None
    if (
        former is None
        or former.case_id not in case_ids
        or (former.agency_id, former.kind) != (agency, entry.kind)
    ):
        raise RecordUnknown(pointer="#/supersedes")
    if await repository.is_superseded(session, former.id):
        raise RecordSuperseded


def _event(row: Record, alerts: Sequence[UUID], seals: RecordSeals) -> CaseFact:
    kind = EVENT_OF.get(row.kind, CaseFactRecorded)
    return kind(
        case_id=row.case_id,
        alert_ids=tuple(alerts),
        evidence_id=row.id,
        fact=row.kind,
        happened_at=row.happened_at,
        supersedes=row.supersedes,
        by=None if row.kind in OF_THE_CASE else seals.seal_body(row.agency_id, row.id),
    )


def _written(case_id: UUID, agency: UUID, entry: Entry) -> bytes:
    return json.dumps(
        [
            str(case_id),
            str(agency),
            entry.kind,
            entry.happened_at.isoformat(),
            entry.digest,
            str(entry.supersedes),
            entry.words.name,
            entry.words.position,
            entry.words.reference,
            entry.words.outcome,
        ],
        ensure_ascii=False,
    ).encode()
