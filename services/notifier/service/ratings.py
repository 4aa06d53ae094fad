"""Who may say what they learned later, or that a report has no ground; the change itself is ``changes``."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from common.db import Session
from common.identity import Principal
from common.ids import new_id
from common.sealing import aead_seal
from notifier.domain.change import FINDERS, RATERS, ChangeKind, may, with_known
from notifier.domain.proposal import Kind, Proposal
from notifier.errors import FindingNotYours, RatingNotYours
from notifier.repository import changes as change_rows
from notifier.repository.directory import find_directory
from notifier.service.changes import lock_whole, row_of, take_change
from notifier.service.desk import Desk
from notifier.service.ledger import facts_row
from notifier.service.opening import alert_facts
from notifier.service.planning import REGIONAL_BODY
from notifier.service.proposals import confirm, propose
from notifier.service.reading import Seen, see_alert


async def rate_alert(
    session: Session,
    desk: Desk,
    caller: Principal,
    handle: UUID,
    learned: Mapping[str, Any],
    reason: str,
    *,
    now: datetime,
) -> Seen:
    """Take in what a body learned later: stricter duties open from now on, none is closed.

    What was known already changes nothing, so that a repeat is harmless. The register is asked anew
    whether there is a regional body.

    Raises:
        AlertUnknown: see ``see_alert``.
        RatingNotYours: neither the reporter nor one of the bodies that may.
    """
    seen = await see_alert(session, caller, handle)
    if not seen.is_reporter and not may(caller.bodies, RATERS, regional_body=_has_regional_body(seen)):
        raise RatingNotYours
    alert = await lock_whole(session, seen.alert.id) or seen.alert
    directory = await find_directory(session, alert.territory)
    known = facts_row(alert_facts(alert))
    after = with_known(known, learned) | {
        "regional_body": not directory.is_absent(REGIONAL_BODY, alert.territory, now)
    }
    if after == known:
        return seen
    change_id = new_id()
    row = row_of(
        alert.id,
        ChangeKind.RERATED,
        await change_rows.last_no(session, alert.id, ChangeKind.RERATED) + 1,
        at=now,
        now=now,
        id=change_id,
        actor=caller.subject,
        agency_id=caller.agency,
        sealed=_sealed(desk, change_id, reason),
        facts=after,
    )
    await take_change(session, desk, row, now=now)
    return await see_alert(session, caller, handle)


async def propose_unfounded(
    session: Session, desk: Desk, caller: Principal, handle: UUID, reason: str, *, now: datetime
) -> Proposal | Seen:
    """Put the finding before a second person; one that stands already is answered as it is.

    Raises:
        AlertUnknown: see ``see_alert``.
        FindingNotYours: neither the police nor the body that coordinates.
    """
    seen = await _finder(session, caller, handle)
    if await change_rows.last_no(session, seen.alert.id, ChangeKind.UNFOUNDED):
        return seen
    return await propose(
        session,
        desk,
        caller,
        Kind.UNFOUNDED,
        seen.alert.id,
        reason=reason,
        alert_id=seen.alert.id,
        now=now,
    )


async def find_unfounded(
    session: Session, desk: Desk, caller: Principal, handle: UUID, proposal_id: UUID, *, now: datetime
) -> Seen:
    """Confirm another person's finding: everybody who was told hears it. Every duty stands all the same.

    Raises:
        AlertUnknown: see ``see_alert``.
        FindingNotYours: neither the police nor the body that coordinates.
        ProposalUnknown, SecondPersonNeeded, ProposalExpired: see ``proposals.confirm``.
    """
    seen = await _finder(session, caller, handle)
    agreed = await confirm(
        session,
        desk,
        caller,
        Kind.UNFOUNDED,
        seen.alert.id,
        proposal_id,
        alert_id=seen.alert.id,
        now=now,
    )
    if agreed.is_new:
        change_id = new_id()
        row = row_of(
            seen.alert.id,
            ChangeKind.UNFOUNDED,
            1,
            at=now,
            now=now,
            id=change_id,
            actor=caller.subject,
            agency_id=caller.agency,
            sealed=_sealed(desk, change_id, agreed.reason),
        )
        await take_change(session, desk, row, now=now)
    return seen


async def _finder(session: Session, caller: Principal, handle: UUID) -> Seen:
    seen = await see_alert(session, caller, handle)
    if not may(caller.bodies, FINDERS, regional_body=_has_regional_body(seen)):
        raise FindingNotYours
    return seen


def _has_regional_body(seen: Seen) -> bool:
    return alert_facts(seen.alert).regional_body


def _sealed(desk: Desk, change_id: UUID, reason: str) -> bytes:
    return aead_seal(desk.keys.secret("vault"), reason.encode(), b"changes.sealed|" + change_id.bytes)
