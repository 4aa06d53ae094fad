"""A body waives a duty of its own: it says why, and another person of it confirms (``domain.acting``)."""

from datetime import datetime
from uuid import UUID

from common.contracts.notifier import ObligationWaived
from common.db import Session
from common.identity import Principal
from common.outbox import add as publish
from common.telemetry import log
from notifier.domain.acting import Act
from notifier.domain.proposal import Kind, Proposal
from notifier.errors import ObligationNotWaivable
from notifier.repository import obligations as obligation_rows
from notifier.repository.obligations import Row
from notifier.repository.records import act, add_acts
from notifier.service.desk import Desk
from notifier.service.owning import choice, take_hold
from notifier.service.proposals import confirm, propose
from notifier.service.reading import Seen


async def propose_waiver(
    session: Session, desk: Desk, caller: Principal, obligation_id: UUID, reason: str, *, now: datetime
) -> Proposal | Seen:
    """Put a waiver before a second person; a duty that was waived before is answered as it stands.

    Raises:
        ObligationUnknown: see ``take_hold``.
        ObligationNotWaivable: it is done, sent, or owed at once.
    """
    held = await take_hold(session, caller, [obligation_id])
    [row] = held.rows
    if row.waived_at is not None:
        return held.seen
    if not _may_waive(desk, row):
        raise ObligationNotWaivable
    return await propose(
        session, desk, caller, Kind.WAIVER, row.id, reason=reason, alert_id=row.alert_id, now=now
    )


async def waive_obligation(
    session: Session, desk: Desk, caller: Principal, obligation_id: UUID, proposal_id: UUID, *, now: datetime
) -> Seen:
    """Confirm another person's waiver: the duty ends, a notice of it that did not leave never will.

    Raises:
        ObligationUnknown: see ``take_hold``.
        ProposalUnknown, SecondPersonNeeded, ProposalExpired: see ``proposals.confirm``.
        ObligationNotWaivable: it was done or sent since it was proposed.
    """
    held = await take_hold(session, caller, [obligation_id])
    [row] = held.rows
    agreed = await confirm(
        session, desk, caller, Kind.WAIVER, row.id, proposal_id, alert_id=row.alert_id, now=now
    )
    # The first of two proposals of one duty waives it; the other has nothing left to do.
    if not agreed.is_new or row.waived_at is not None:
        return held.seen
    if not _may_waive(desk, row):
        raise ObligationNotWaivable
    await obligation_rows.set_obligation(
        session, row.id, {"state": "waived", "waived_at": now, "dispatch_at": None, "next_check_at": None}
    )
    event = ObligationWaived(alert_id=row.alert_id, obligations=(row.id,), waived_at=now)
    await publish(session, event, subject=row.alert_id, now=lambda: now)
    waived = act(
        "duty.waived",
        at=now,
        actor=caller.subject,
        alert_id=row.alert_id,
        subject_id=row.id,
        rule=row.rule,
        proposal=str(proposal_id),
    )
    await add_acts(session, [waived])
    log.info("obligation_waived", alert_id=str(row.alert_id), obligation_id=str(row.id), rule=row.rule)
    return held.seen


def _may_waive(desk: Desk, row: Row) -> bool:
    found = choice(
        desk, edition=row.edition, rule=row.rule, state=row.state, has_left=row.delivery_id is not None
    )
    return Act.WAIVER in found.may
