"""The do-not-notify-parent lock of an alert."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import Field, model_validator

from common.http import Tx
from common.identity import Principal, require
from common.schemas import In, Out
from notifier.domain.proposal import Proposal
from notifier.router.counter import AtCounter
from notifier.schemas import Flag, ProposedOut, Words
from notifier.service import parents, reading

router = APIRouter(prefix="/v1/alerts", tags=["conflicts"])

Agency = Annotated[Principal, Depends(require("agency"))]


class ParentLockIn(In):
    """Whether to keep it from the parents and why, or which proposal to confirm."""

    locked: Flag | None = None
    reason: Words | None = None
    confirms: UUID | None = Field(None, description="the other person's proposal to lift it; alone")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if (self.confirms is None) != (self.locked is not None and self.reason is not None):
            raise ValueError("locked with a reason, or what is confirmed")
        if self.confirms is not None and (self.locked is not None or self.reason is not None):
            raise ValueError("confirms stands alone")
        return self


class ParentLockOut(Out):
    """Whether parents may be told of this alert."""

    locked: bool
    since: datetime


@router.post(
    "/{alert_id}/parent-lock",
    summary="Keep an alert from the parents, or let it go to them",
    response_model=ParentLockOut,
    responses={202: {"description": "Another person of this body must confirm.", "model": ProposedOut}},
)
async def set_parent_lock(
    alert_id: UUID, body: ParentLockIn, session: Tx, caller: Agency, counter: AtCounter, response: Response
) -> ParentLockOut | Response:
    """On by itself where a parent, guardian, relative or somebody of the household is suspected.

    Anybody who was told may lock, with effect at once. Only the coordinating body lifts it: one person with a
    reason, another one confirms; then what was withheld opens.
    """
    now = counter.now()
    seen = await reading.see_alert(session, caller, alert_id)
    response.headers["Cache-Control"] = "no-store"
    found: parents.Lock | Proposal
    if body.confirms is not None:
        found = await parents.lift_lock(session, counter.desk, caller, seen, body.confirms, now=now)
    elif body.locked:
        found = await parents.lock_parents(session, counter.desk, caller, seen, body.reason or "", now=now)
    else:
        found = await parents.propose_lifting(session, counter.desk, caller, seen, body.reason or "", now=now)
    if isinstance(found, Proposal):
        told = ProposedOut(proposal=found.id, expires_at=found.expires_at)
        return Response(told.model_dump_json(), 202, {"Cache-Control": "no-store"}, "application/json")
    return ParentLockOut(locked=found.locked, since=found.since)
