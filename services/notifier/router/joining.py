"""Alerts about one child: joined by one person of the body that coordinates both, parted by two."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import Field, StringConstraints, model_validator

from common.http import Page, Reading, Tx
from common.identity import Principal, require
from common.schemas import In, Out
from notifier.domain.proposal import Proposal
from notifier.router.conflicts import Words
from notifier.router.counter import AtCounter
from notifier.schemas import Flag, ProposedOut
from notifier.service import joining, reading
from notifier.service.joining import Decided

router = APIRouter(prefix="/v1/alerts", tags=["joining"])

Agency = Annotated[Principal, Depends(require("agency"))]

Match = Annotated[str, StringConstraints(min_length=20, max_length=400, pattern=r"^[A-Za-z0-9_\-]+$")]


class JoiningIn(In):
    """What was found of two alerts: join, not the same, or part; or which proposal to confirm."""

    other: UUID | None = Field(None, description="this agency's own id of the other alert")
    match: Match | None = Field(None, description="as GET …/matches gave it; to join, or to tell apart")
    is_same: Flag | None = Field(None, description="true joins, false says that they are not about one child")
    reason: Words | None = Field(None, description="why what was joined must be parted; alone with other")
    confirms: UUID | None = Field(None, description="the other person's proposal to part; alone")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        told = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if told not in ({"other", "match", "is_same"}, {"other", "reason"}, {"confirms"}):
            raise ValueError("join or tell apart, part with a reason, or confirm")
        return self


class JoiningOut(Out):
    """What stands of two alerts."""

    id: UUID
    other: UUID = Field(description="this agency's own id of the other alert")
    state: Literal["joined", "apart"]
    decided_at: datetime


@router.post(
    "/{alert_id}/joining",
    summary="Join two alerts about one child, say that they are not, or part them again",
    status_code=201,
    response_model=JoiningOut,
    responses={
        200: {"model": JoiningOut, "description": "It stood already, or the second person parted them."},
        202: {"model": ProposedOut, "description": "Parting waits for another person of this body."},
    },
)
async def decide_joining(
    alert_id: UUID, body: JoiningIn, session: Tx, caller: Agency, counter: AtCounter, response: Response
) -> JoiningOut | Response:
    """For the body that coordinates both. One case continues, the other points to it.

    With the same commit whoever is shut out of one is shut out of both, and a lock towards the parents holds
    for both. Duties and notices of each stay, with their clocks. Parting takes two persons; a shared lock
    stays until it is lifted.
    """
    now = counter.now()
    seen = await reading.see_alert(session, caller, alert_id)
    response.headers["Cache-Control"] = "no-store"
    found: Decided | Proposal
    if body.confirms is not None:
        found = await joining.part(session, counter.desk, caller, seen, body.confirms, now=now)
        response.status_code = 200
        return _shown(found)
    if body.other is None:
        raise AssertionError  # the schema lets nothing else through
    if body.reason is not None:
        proposed = await joining.propose_parting(
            session, counter.desk, caller, seen, body.other, body.reason, now=now
        )
        told = ProposedOut(proposal=proposed.id, expires_at=proposed.expires_at)
        return Response(told.model_dump_json(), 202, {"Cache-Control": "no-store"}, "application/json")
    found = await joining.decide(
        session,
        counter.desk,
        caller,
        seen,
        body.other,
        body.match or "",
        is_same=bool(body.is_same),
        now=now,
    )
    if not found.is_new:
        response.status_code = 200
    return _shown(found)


@router.get("/{alert_id}/joining", summary="What an alert is joined with")
async def list_joined(
    alert_id: UUID, session: Reading, caller: Agency, response: Response
) -> Page[JoiningOut]:
    """For the body that coordinates it: of the others only those that it knows itself."""
    seen = await reading.see_alert(session, caller, alert_id)
    response.headers["Cache-Control"] = "no-store"
    return Page(items=[_shown(each) for each in await joining.list_joined(session, caller, seen)])


def _shown(found: Decided) -> JoiningOut:
    stands = found.joining
    return JoiningOut.model_validate(
        {"id": stands.id, "other": found.other, "state": stands.state, "decided_at": stands.decided_at}
    )
