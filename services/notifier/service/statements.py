"""An obliged body states that it did an act of its own of which no other service keeps a record."""

import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from common.db import Session
from common.identity import Principal
from common.ids import new_id
from common.sealing import aead_seal
from common.telemetry import log
from notifier.domain.acting import Act
from notifier.domain.later import LaterFact
from notifier.domain.receipt import CLOCK_TOLERANCE
from notifier.errors import EvidenceDiffers, EvidenceOutOfTime, FactNotEvidence, ObligationUnknown
from notifier.repository import evidence as evidence_rows
from notifier.repository import obligations as obligation_rows
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
from notifier.service.facts import take_fact
from notifier.service.owning import choice, take_hold
from notifier.service.reading import Seen


@dataclass(frozen=True, slots=True)
class Said:
    """What the body says: fact code, when it happened, and where it keeps the proof."""

    fact: str
    happened_at: datetime
    reference: str = field(repr=False)


async def state_evidence(
    session: Session, desk: Desk, caller: Principal, obligation_id: UUID, said: Said, *, now: datetime
) -> Seen:
    """Keep the statement and meet the duty by it; a repeat changes nothing.

    Raises:
        ObligationUnknown: see ``take_hold``.
        EvidenceDiffers: something else was stated, or the duty is over.
        FactNotEvidence: the law does not take this from its body.
        EvidenceOutOfTime: ahead of us, before the alert, or before what opened the duty.
    """
    alert_id = await obligation_rows.alert_of(session, obligation_id)
    if alert_id is None:
        raise ObligationUnknown
    # A fact can meet and open any duty of its alert: all of them are locked first, in everybody's order.
    await obligation_rows.lock_of_alert(session, alert_id)
    held = await take_hold(session, caller, [obligation_id])
    [row] = held.rows
    document = json.dumps([said.fact, said.happened_at.isoformat(), said.reference])
    key = desk.keys.secret("vault")
    digest = hmac.digest(key, b"evidence.digest|" + row.id.bytes + document.encode(), "sha256")
    known = await evidence_rows.find_statement(session, row.id)
    if known is not None:
        if known.digest != digest:
            raise EvidenceDiffers
        return held.seen
    found = choice(
        desk, edition=row.edition, rule=row.rule, state=row.state, has_left=row.delivery_id is not None
    )
    if row.state not in obligation_rows.UNMET:
        raise EvidenceDiffers
    if Act.EVIDENCE not in found.may or said.fact not in found.facts:
        raise FactNotEvidence(pointer="#/fact")
    earliest = max(held.seen.alert.received_at, row.since or held.seen.alert.received_at)
    if not earliest <= said.happened_at <= now + CLOCK_TOLERANCE:
        raise EvidenceOutOfTime(pointer="#/happened_at")
    happened_at = min(said.happened_at, now)
    statement_id = new_id()
    stored = await evidence_rows.add_statement(
        session,
        {
            "id": statement_id,
            "obligation_id": row.id,
            "code": said.fact,
            "happened_at": happened_at,
            "agency_id": caller.agency,
            "stated_by": caller.subject,
            "stated_at": now,
            "sealed": aead_seal(key, said.reference.encode(), b"evidence.sealed|" + statement_id.bytes),
            "digest": digest,
        },
    )
    if not stored:
        raise EvidenceDiffers
    await add_acts(
        session,
        [
            act(
                "duty.evidenced",
                at=now,
                actor=caller.subject,
                alert_id=alert_id,
                subject_id=row.id,
                rule=row.rule,
                fact=said.fact,
                evidence=str(statement_id),
            )
        ],
    )
    fact = LaterFact(id=statement_id, code=said.fact, at=happened_at, agency=caller.agency)
    await take_fact(session, desk, fact, [alert_id], actor=caller.subject, now=now)
    log.info("evidence_stated", alert_id=str(alert_id), obligation_id=str(row.id), fact=said.fact)
    return held.seen
