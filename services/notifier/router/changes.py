"""What is learned of an alert later, and the finding that it has no ground."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from common.db import Session
from common.http import Tx
from common.identity import Principal, require
from notifier.router.counter import AtCounter, Counter
from notifier.schemas import AlertOut, AlertProposalOut, ProposalIn, ProposedOut, RatingIn
from notifier.service import ratings, reading
from notifier.service.acting import Waiting, offer
from notifier.service.reading import Seen
from notifier.service.standing import list_changes

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

Agency = Annotated[Principal, Depends(require("agency"))]


@router.post("/{alert_id}/rating", summary="Say what was learned later")
async def rate_alert(
    alert_id: UUID, body: RatingIn, session: Tx, caller: Agency, counter: AtCounter
) -> AlertOut:
    """For the reporter, the police, the body that coordinates and contact centre 111.

    Stricter duties open with clocks from now on; those that stood stay with theirs, also where the law
    would not ask for them any more (``overtaken_at``). What still waits gets more urgent, never less.
    Bodies with new duties get a further notice.
    """
    seen = await ratings.rate_alert(
        session, counter.desk, caller, alert_id, body.to_learned(), body.reason, now=counter.now()
    )
    return await shown(session, counter, caller, seen)


@router.post(
    "/{alert_id}/unfounded",
    summary="Find a report without ground: one proposes with a reason, another person confirms",
    response_model=AlertOut,
    responses={202: {"description": "Another person of this body must confirm.", "model": ProposedOut}},
)
async def find_unfounded(
    alert_id: UUID, body: ProposalIn, session: Tx, caller: Agency, counter: AtCounter
) -> AlertOut | Response:
    """For the police and the body that coordinates. Every body that was told hears of it and must confirm.

    No duty ends by it: whoever owes one says why it is moot.
    """
    now = counter.now()
    if body.confirms is not None:
        seen = await ratings.find_unfounded(session, counter.desk, caller, alert_id, body.confirms, now=now)
        return await shown(session, counter, caller, seen)
    found = await ratings.propose_unfounded(
        session, counter.desk, caller, alert_id, body.reason or "", now=now
    )
    if isinstance(found, Seen):
        return await shown(session, counter, caller, found)
    told = ProposedOut(proposal=found.id, expires_at=found.expires_at)
    return Response(told.model_dump_json(), 202, media_type="application/json")


async def shown(session: Session, counter: Counter, caller: Principal, seen: Seen) -> AlertOut:
    """One alert with what became of it, and what the caller may do with it."""
    [row] = await reading.summaries(session, [seen])
    offered = await offer(session, counter.desk, caller, seen, now=counter.now())
    more = {
        "changes": await list_changes(session, counter.desk, seen),
        "may": offered.may,
        "parents_locked": offered.parents_locked,
        "proposals": [_proposal(each) for each in offered.waiting],
    }
    return AlertOut.model_validate(row | more)


def _proposal(waiting: Waiting) -> AlertProposalOut:
    proposal = waiting.agreed.proposal
    return AlertProposalOut(
        proposal=proposal.id,
        kind=proposal.kind,
        proposed_at=proposal.proposed_at,
        expires_at=proposal.expires_at,
        reason=waiting.agreed.reason,
        mine=waiting.is_own,
        may_confirm=waiting.may_confirm,
        conflict=waiting.conflict,
    )
