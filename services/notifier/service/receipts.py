"""An agency answers a notice, or shows that it read the content."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.db import Session
from common.errors import Refusal
from common.identity import Principal
from common.sealing import aead_open, aead_seal
from common.telemetry import log
from notifier.domain.delivery import Fact, State, step
from notifier.domain.notice import instant
from notifier.domain.receipt import FACT, Flaw, Means, Receipt, find_flaw
from notifier.errors import (
    DeliveryUnknown,
    ReceiptDiffers,
    ReceiptNotPossible,
    ReceiptRefused,
    ReceiptUnsigned,
)
from notifier.repository import deliveries as delivery_rows
from notifier.repository import ladders as ladder_rows
from notifier.repository import receipts as receipt_rows
from notifier.repository.claims import Moved
from notifier.repository.receipts import Addressed
from notifier.repository.records import act, add_acts, add_security_event
from notifier.service.calling import call_operator
from notifier.service.desk import Desk
from notifier.service.escalation import REJECTED, end_silence
from notifier.service.exclusions import is_shut_out
from notifier.service.grants import receipt_aad
from notifier.service.known import note_known
from notifier.service.proofs import take_answer
from notifier.service.transmission import holders_informed, note_moved

KEYS_OVERLAP = timedelta(days=1)
"""How long receipts may be signed with the key before: an agency's machines change over one by one."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The stored receipt as it is given back, and whether it is new."""

    answer: dict[str, Any]
    is_new: bool


@dataclass(frozen=True, slots=True)
class ByHand:
    """An answer that two persons entered: how it came, and who they are by their tokens' subjects."""

    means: Means
    entered_by: tuple[str, str]


async def find_addressed(
    session: Session, caller: Principal, delivery_id: UUID, *, now: datetime
) -> Addressed:
    """The delivery that this agency may answer, with the keys that its receipt is checked with.

    Raises:
        DeliveryUnknown: there is none, or it is another agency's; the latter is a security event, which
            this transaction must keep.
    """
    addressed = await receipt_rows.find_addressed(session, delivery_id)
    if addressed is None or addressed.agency_id is None:
        raise DeliveryUnknown
    if addressed.agency_id != caller.agency:
        await note_flaw(session, caller, delivery_id, Flaw.FOREIGN, now=now)
        raise DeliveryUnknown
    if addressed.alert_id is not None and await is_shut_out(session, addressed.alert_id, caller):
        raise DeliveryUnknown
    keys = await receipt_rows.list_receipt_keys(session, addressed, since=now - KEYS_OVERLAP)
    return replace(addressed, receipt_keys=keys)


async def note_flaw(
    session: Session, caller: Principal, delivery_id: UUID, flaw: Flaw, *, now: datetime
) -> Refusal:
    """Store a security event for a receipt that does not count; returns what the caller is told."""
    await add_security_event(
        session, flaw.value, at=now, actor=caller.subject, agency_id=caller.agency, delivery_id=delivery_id
    )
    log.warning("receipt_refused", delivery_id=str(delivery_id), reason=flaw.value)
    if flaw in (Flaw.UNSIGNED, Flaw.WRONG_SIGNATURE):
        return ReceiptUnsigned(flaw.value)
    return ReceiptRefused(flaw.value)


async def record_receipt(
    session: Session,
    desk: Desk,
    caller: Principal,
    addressed: Addressed,
    receipt: Receipt,
    *,
    is_signed: bool,
    now: datetime,
    by_hand: ByHand | None = None,
) -> Recorded:
    """Let a receipt take effect once; a repeat gets the same stored answer.

    Raises:
        Refusal: wrong delivery, digest or time (with a security event that this transaction must
            keep), another receipt is stored, or the delivery was cancelled.
    """
    flaw = find_flaw(
        receipt,
        delivery_id=addressed.delivery_id,
        notice_digest=addressed.digest or "",
        planned_at=addressed.planned_at,
        now=now,
    )
    if flaw is not None:
        raise await note_flaw(session, caller, addressed.delivery_id, flaw, now=now)
    if addressed.escalates_id is not None:
        # First ways are locked first: two answers over two ways must not wait for each other.
        await ladder_rows.lock_first(session, addressed.escalates_id)
    stored = await receipt_rows.find_receipt(session, addressed.delivery_id)
    if stored is not None:
        return _repeated(desk, addressed, receipt, stored)
    fact = FACT[receipt.status]
    state = step(addressed.state, fact)
    if state is None and not _is_answered(addressed):
        raise ReceiptNotPossible
    answer = _document(receipt, now)
    if by_hand is not None:
        answer |= {"means": by_hand.means.value, "entered_by": list(by_hand.entered_by)}
    row = {
        "delivery_id": addressed.delivery_id,
        "agency_id": addressed.agency_id,
        "status": receipt.status.value,
        "at": receipt.at,
        "received_at": now,
        "is_signed": is_signed,
        "means": (by_hand.means if by_hand else Means.SYSTEM).value,
        "sealed": aead_seal(
            desk.keys.secret("vault"),
            json.dumps(answer, ensure_ascii=False).encode(),
            receipt_aad(addressed.delivery_id),
        ),
    }
    if not await receipt_rows.add_receipt(session, row):
        found = await receipt_rows.find_receipt(session, addressed.delivery_id)
        if found is None:
            raise ReceiptNotPossible
        return _repeated(desk, addressed, receipt, found)
    if state is not None and await receipt_rows.answer(session, addressed.delivery_id, fact, state, at=now):
        await _follow(session, desk, addressed, fact, state, now=now)
    else:
        # Another way of the same ladder was answered first; this answer is kept beside it.
        found_again = await receipt_rows.find_addressed(session, addressed.delivery_id)
        if found_again is None or not _is_answered(found_again):
            # The door commits for the sake of security events: what is refused must not stay with them.
            await receipt_rows.drop_receipt(session, addressed.delivery_id)
            raise ReceiptNotPossible
    if by_hand is None:
        await take_answer(session, addressed, now=now)
    await add_acts(
        session,
        [
            act(
                "receipt.recorded",
                at=now,
                actor=caller.subject,
                alert_id=addressed.alert_id,
                subject_id=addressed.delivery_id,
                state=receipt.status.value,
            )
        ],
    )
    return Recorded(answer, is_new=True)


def _is_answered(addressed: Addressed) -> bool:
    return addressed.state in (State.ACKNOWLEDGED, State.REJECTED)


async def _follow(
    session: Session, desk: Desk, addressed: Addressed, fact: Fact, state: State, *, now: datetime
) -> None:
    agency_id = addressed.agency_id
    if agency_id is None:
        raise DeliveryUnknown
    moved = Moved(
        addressed.delivery_id,
        addressed.alert_id,
        agency_id,
        addressed.role,
        now,
        addressed.rung,
        addressed.escalates_id,
    )
    if addressed.transmitted_at is None:
        # Their answer overtook our own record of having got through.
        await note_moved(session, [moved], "transmitted", now=now)
    await holders_informed(session, desk, [moved], now=now)
    what = "rejected" if state is State.REJECTED else "acknowledged"
    ended = await end_silence(session, moved, fact, now=now)
    await note_moved(session, [moved, *ended], what, now=now)
    if state is State.REJECTED:
        await call_operator(session, moved.carrier_id, REJECTED, now=now)


def open_receipt(desk: Desk, delivery_id: UUID, sealed: bytes) -> dict[str, Any]:
    """A stored receipt in full."""
    document: dict[str, Any] = json.loads(
        aead_open(desk.keys.secret("vault"), sealed, receipt_aad(delivery_id))
    )
    return document


async def open_content(
    session: Session, desk: Desk, delivery_id: UUID, *, at: datetime, person: str, now: datetime
) -> None:
    """Note that the content behind a notice was read: its holder has the information."""
    moved = await delivery_rows.mark_opened(session, delivery_id, at=at)
    if moved is None:
        return
    await note_known(session, {delivery_id: at}, "opened_at", now=now)
    await note_moved(session, [moved], "opened", now=now)
    await holders_informed(session, desk, [moved], now=now)
    await add_acts(
        session,
        [act("content.opened", at=at, actor=person, alert_id=moved.alert_id, subject_id=delivery_id)],
    )


def _repeated(desk: Desk, addressed: Addressed, receipt: Receipt, stored: tuple[str, bytes]) -> Recorded:
    status, sealed = stored
    if status != receipt.status.value:
        raise ReceiptDiffers
    return Recorded(open_receipt(desk, addressed.delivery_id, sealed), is_new=False)


def _document(receipt: Receipt, now: datetime) -> dict[str, Any]:
    return {
        "delivery": str(receipt.delivery_id),
        "notice_digest": receipt.notice_digest.lower(),
        "status": receipt.status.value,
        "reason": receipt.reason,
        "person": {"name": receipt.person_name, "position": receipt.person_position},
        "reference": receipt.reference,
        "at": instant(receipt.at),
        "recorded_at": instant(now),
    }
