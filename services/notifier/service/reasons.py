"""Why a duty was breached: its owner, or the body above that was told, says it in its own words."""

import base64
import hmac
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from common.contracts.notifier import BreachExplained
from common.db import Session
from common.identity import Principal
from common.ids import new_id
from common.outbox import add as publish
from common.sealing import aead_seal, seal
from common.telemetry import log
from notifier.errors import AlertUnknown, DutyNotBreached, ObligationUnknown
from notifier.repository import alerts as alert_rows
from notifier.repository import breaches as breach_rows
from notifier.repository.breaches import Breach
from notifier.repository.records import act, add_acts
from notifier.service.breaches import aad, shown
from notifier.service.desk import Desk
from notifier.service.reading import see_alert


async def state_reason(
    session: Session, desk: Desk, caller: Principal, obligation_id: UUID, reason: str, *, now: datetime
) -> dict[str, Any]:
    """The owner of a breach, or the body above it that was told, says why. The breach stays.

    The same words again change nothing; other words stand beside the earlier ones.

    Raises:
        ObligationUnknown: there is none, the caller is neither of the two, or may not know of the alert.
        DutyNotBreached: its limit has not passed.
    """
    broken = await breach_rows.find_broken(session, obligation_id)
    if broken is None or caller.agency is None:
        raise ObligationUnknown
    breach = await _breach_of(session, broken.breach_id)
    above = None if breach is None else breach.superior_id
    owner = broken.owner_id if broken.breached_at is not None else broken.obliged_agency_id
    if caller.agency not in (owner, above):
        raise ObligationUnknown
    known = await alert_rows.handle_of(session, broken.alert_id, caller.agency)
    if known is None:
        raise ObligationUnknown
    try:
        await see_alert(session, caller, known.handle)
    except AlertUnknown as error:
        raise ObligationUnknown from error
    if broken.breached_at is None:
        raise DutyNotBreached
    by = "owner" if caller.agency == owner else "superior"
    key = desk.keys.secret("vault")
    statement_id = new_id()
    row = {
        "id": statement_id,
        "obligation_id": broken.id,
        "agency_id": caller.agency,
        "stated_by": caller.subject,
        "stated_at": now,
        "sealed": aead_seal(key, reason.encode(), aad(statement_id)),
        "token": hmac.digest(key, b"breach_statements.token|" + broken.id.bytes + reason.encode(), "sha256"),
    }
    if await breach_rows.add_statement(session, row):
        document = {"agency": str(caller.agency), "reason": reason}
        event = BreachExplained(
            alert_id=broken.alert_id,
            obligation_id=broken.id,
            statement_id=statement_id,
            by=by,
            explained_at=now,
            explanation=base64.b64encode(
                seal(
                    desk.keys.sealing_public("assignee"),
                    json.dumps(document, ensure_ascii=False).encode(),
                    str(broken.alert_id).encode() + statement_id.bytes,
                )
            ).decode(),
        )
        await publish(session, event, subject=broken.alert_id, now=lambda: now)
        await add_acts(
            session,
            [
                act(
                    "breach.explained",
                    at=now,
                    actor=caller.subject,
                    alert_id=broken.alert_id,
                    subject_id=broken.id,
                    rule=broken.rule,
                    by=by,
                    statement=str(statement_id),
                )
            ],
        )
        log.info("breach_explained", alert_id=str(broken.alert_id), obligation_id=str(broken.id), by=by)
    said = await breach_rows.list_statements(session, [broken.id])
    return {
        "obligation": broken.id,
        "rule": broken.rule,
        **shown(
            desk,
            owner=owner,
            above=above,
            reason=broken.reason,
            breached_at=broken.breached_at,
            said=said.get(broken.id, ()),
            viewer=caller.agency,
        ),
    }


async def _breach_of(session: Session, breach_id: UUID | None) -> Breach | None:
    if breach_id is None:
        return None
    return (await breach_rows.list_by_id(session, [breach_id])).get(breach_id)
