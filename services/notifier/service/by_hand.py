"""Answers that came by phone or on paper, entered by two persons; and reading out by phone.

The two are of the agency itself, or of contact centre 111 (the hub) for an alert that it knows. Nobody enters
an answer of any other agency: for them there is no such delivery.
"""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from common.db import Session
from common.identity import Principal
from common.ids import new_id
from common.sealing import aead_seal
from notifier.domain.notice import instant
from notifier.domain.proposal import Kind, Proposal
from notifier.domain.receipt import Means, Receipt, ReceiptStatus, find_flaw
from notifier.domain.visibility import SUPERVISOR
from notifier.errors import DeliveryUnknown, ReceiptNotPossible, ReceiptRefused
from notifier.repository import receipts as receipt_rows
from notifier.repository.alerts import handle_of
from notifier.repository.receipts import Addressed
from notifier.repository.records import act, add_acts
from notifier.service import proposals
from notifier.service.desk import Desk
from notifier.service.exclusions import is_shut_out
from notifier.service.receipts import ByHand, Recorded, open_content, open_receipt, record_receipt


async def find_enterable(session: Session, caller: Principal, delivery_id: UUID) -> Addressed:
    """The delivery whose answer this caller may enter: its own, or as the hub one of an alert that it knows.

    Raises:
        DeliveryUnknown: there is none for this caller.
    """
    addressed = await receipt_rows.find_addressed(session, delivery_id)
    if addressed is None or addressed.agency_id is None or addressed.alert_id is None:
        raise DeliveryUnknown
    if await is_shut_out(session, addressed.alert_id, caller):
        raise DeliveryUnknown
    if addressed.agency_id != caller.agency and not await _is_hub(session, caller, addressed.alert_id):
        raise DeliveryUnknown
    return addressed


def _code(person: str) -> str:
    """A person's code without the body's registry id, which is nothing that a receipt tells."""
    return person.rpartition(":")[2]


async def _is_hub(session: Session, caller: Principal, alert_id: UUID) -> bool:
    if caller.agency is None or not caller.holds(SUPERVISOR):
        return False
    return await handle_of(session, alert_id, caller.agency) is not None


async def propose_answer(
    session: Session,
    desk: Desk,
    caller: Principal,
    delivery_id: UUID,
    receipt: Receipt,
    means: Means,
    *,
    now: datetime,
) -> Proposal:
    """Put an answer that came by phone or on paper before a second person.

    Raises:
        DeliveryUnknown: there is none for this caller.
        ReceiptRefused: its time cannot be.
        ReceiptNotPossible: it was answered already.
    """
    addressed = await find_enterable(session, caller, delivery_id)
    digest = addressed.digest or ""
    flaw = find_flaw(
        receipt, delivery_id=delivery_id, notice_digest=digest, planned_at=addressed.planned_at, now=now
    )
    if flaw is not None:
        raise ReceiptRefused(flaw.value)
    if await receipt_rows.find_receipt(session, delivery_id) is not None:
        raise ReceiptNotPossible
    return await proposals.propose(
        session,
        desk,
        caller,
        Kind.RECEIPT,
        delivery_id,
        reason=means.value,
        payload=_as_document(receipt),
        alert_id=addressed.alert_id,
        now=now,
    )


async def confirm_answer(
    session: Session, desk: Desk, caller: Principal, delivery_id: UUID, proposal_id: UUID, *, now: datetime
) -> Recorded:
    """Let an answer that another person entered take effect; once more it is the same stored one.

    Raises:
        Refusal: as for proposing; the same person, too late, or another answer is stored by now.
    """
    addressed = await find_enterable(session, caller, delivery_id)
    agreed = await proposals.confirm(
        session,
        desk,
        caller,
        Kind.RECEIPT,
        delivery_id,
        proposal_id,
        alert_id=addressed.alert_id,
        now=now,
    )
    if not agreed.is_new:
        stored = await receipt_rows.find_receipt(session, delivery_id)
        if stored is None:
            raise ReceiptNotPossible
        return Recorded(open_receipt(desk, delivery_id, stored[1]), is_new=False)
    by_hand = ByHand(
        Means(agreed.reason), (_code(agreed.proposal.proposed_by), _code(proposals.person_of(caller)))
    )
    receipt = _of_document(delivery_id, addressed.digest or "", agreed.payload)
    return await record_receipt(
        session, desk, caller, addressed, receipt, is_signed=False, now=now, by_hand=by_hand
    )


async def read_out(
    session: Session,
    desk: Desk,
    caller: Principal,
    delivery_id: UUID,
    *,
    person_name: str,
    person_position: str,
    now: datetime,
) -> UUID:
    """Note that the hub read the content out by phone, to whom; the holder has the information by it.

    Raises:
        DeliveryUnknown: the caller is not the hub, or there is no such delivery for it.
    """
    addressed = await find_enterable(session, caller, delivery_id)
    if caller.agency is None or addressed.alert_id is None or not caller.holds(SUPERVISOR):
        raise DeliveryUnknown
    read_out_id = new_id()
    person = json.dumps({"name": person_name, "position": person_position}, ensure_ascii=False)
    row = {
        "id": read_out_id,
        "delivery_id": delivery_id,
        "by_agency_id": caller.agency,
        "actor": caller.subject,
        "at": now,
        "sealed": aead_seal(
            desk.keys.secret("vault"), person.encode(), b"read_outs.sealed|" + read_out_id.bytes
        ),
    }
    await receipt_rows.add_read_out(session, row)
    await add_acts(
        session,
        [
            act(
                "content.read_out",
                at=now,
                actor=caller.subject,
                alert_id=addressed.alert_id,
                subject_id=delivery_id,
                read_out=str(read_out_id),
            )
        ],
    )
    await open_content(session, desk, delivery_id, at=now, person=caller.subject, now=now)
    return read_out_id


def _as_document(receipt: Receipt) -> dict[str, Any]:
    return {
        "status": receipt.status.value,
        "at": instant(receipt.at),
        "person": [receipt.person_name, receipt.person_position],
        "reason": receipt.reason,
        "reference": receipt.reference,
    }


def _of_document(delivery_id: UUID, digest: str, document: Any) -> Receipt:
    return Receipt(
        delivery_id=delivery_id,
        notice_digest=digest,
        status=ReceiptStatus(document["status"]),
        at=datetime.fromisoformat(document["at"]),
        person_name=document["person"][0],
        person_position=document["person"][1],
        reason=document["reason"],
        reference=document["reference"],
    )
