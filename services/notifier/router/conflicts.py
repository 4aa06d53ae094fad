"""Conflicts of interest: raised by whoever was told, lowered by two bodies."""

import unicodedata
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from common.http import Page, Reading, Tx
from common.identity import Caller, Principal, require
from common.schemas import In, Out
from notifier.domain.exclusion import NAMED_ONLY, Exclusion, district_of
from notifier.errors import ConflictMustBeNamed
from notifier.router.counter import AtCounter
from notifier.schemas import Flag, RoleCode
from notifier.service import conflicts, reading
from notifier.service.reading import Seen

router = APIRouter(prefix="/v1/alerts", tags=["conflicts"])


def _not_blank(value: str) -> str:
    if not value.strip() or any(
        unicodedata.category(letter) in ("Cs", "Cc") and letter not in "\n\t" for letter in value
    ):
        raise ValueError("not a text")
    return value


Agency = Annotated[Principal, Depends(require("agency"))]

Words = Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(_not_blank)]
"""Why, in somebody's own words."""


class RaiseIn(In):
    """Whom to shut out and why, or which proposal to confirm. The reason is sealed."""

    agency: UUID | None = Field(None, description="registry id of the organisation")
    role: RoleCode | None = Field(
        None,
        description="every holder of it in the district, where the organisation is not known; not the police"
        " nor the coordinating bodies, which are named",
    )
    reason: Words | None = None
    lower: Flag = Field(default=False, description="let it in again: coordinating body and police, together")
    confirms: UUID | None = Field(None, description="the other body's proposal; alone")

    @model_validator(mode="after")
    def _is_one_thing(self) -> "RaiseIn":
        named = (self.agency is not None) + (self.role is not None)
        if self.confirms is not None:
            if named or self.reason is not None or self.lower:
                raise PydanticCustomError("confirms_alone", "confirms stands alone")
        elif named != 1 or self.reason is None:
            raise PydanticCustomError("one_of_two", "agency or role, and a reason")
        return self


class ConflictRaisedOut(Out):
    """A conflict of interest as it stands."""

    id: UUID
    state: Literal["in_force", "lifted"]
    since: datetime
    lifted_at: datetime | None = None


class KnownOut(Out):
    """What somebody who is shut out had in hand before."""

    role: str
    delivery: UUID | None = None
    reported_at: datetime | None = None
    attempted_at: datetime | None = Field(None, description="sent, and nobody knows whether it arrived")
    transmitted_at: datetime | None = None
    opened_at: datetime | None = None
    acknowledged_at: datetime | None = None


class ConflictOut(ConflictRaisedOut):
    """A conflict of interest, for those who may lower it."""

    agency: UUID | None = Field(None, validation_alias="agency_id")
    role: str | None = None
    raised_by: str = Field(description="role code of whoever raised it")
    known: list[KnownOut]


class LoweringProposedOut(Out):
    """A second person must confirm this until then."""

    proposal: UUID
    expires_at: datetime


@router.post(
    "/{alert_id}/conflicts",
    summary="Shut an organisation out of an alert, or let it in again",
    status_code=201,
    responses={
        200: {"model": ConflictRaisedOut, "description": "It stands already, or the second body lowered it."},
        202: {"model": LoweringProposedOut, "description": "Lowering waits for the other body."},
    },
)
async def raise_conflict(
    alert_id: UUID, body: RaiseIn, session: Tx, caller: Agency, counter: AtCounter, response: Response
) -> ConflictRaisedOut | LoweringProposedOut:
    """Anybody who was told may raise one, with effect at once; it may shut out the caller itself.

    Nobody may leave the alert without police and without a coordinating body. With ``lower`` the coordinating
    body or the police asks to lower it, and a person of the other of the two confirms; where the other one is
    shut out with all that could take its place, a second person of the same.
    """
    now = counter.now()
    seen = await reading.see_alert(session, caller, alert_id)
    response.headers["Cache-Control"] = "no-store"
    if body.confirms is not None:
        lowered = await conflicts.lower_conflict(session, counter.desk, caller, seen, body.confirms, now=now)
        response.status_code = 200
        return ConflictRaisedOut.model_validate(lowered, from_attributes=True)
    exclusion = _exclusion(seen, body)
    if body.lower:
        proposal = await conflicts.propose_lowering(
            session, counter.desk, caller, seen, exclusion, body.reason or "", now=now
        )
        response.status_code = 202
        return LoweringProposedOut(proposal=proposal.id, expires_at=proposal.expires_at)
    raised = await conflicts.raise_conflict(
        session, counter.desk, caller, seen, exclusion, body.reason or "", now=now
    )
    if not raised.is_new:
        response.status_code = 200
    return ConflictRaisedOut.model_validate(raised.stored, from_attributes=True)


@router.get("/{alert_id}/conflicts", summary="Who is shut out of an alert, and what they knew")
async def list_conflicts(
    alert_id: UUID, session: Reading, caller: Caller, response: Response
) -> Page[ConflictOut]:
    """For the coordinating body, the police and the operator."""
    seen = await reading.see_alert(session, caller, alert_id)
    response.headers["Cache-Control"] = "no-store"
    found = await conflicts.list_conflicts(session, caller, seen)
    return Page(items=[ConflictOut.model_validate(each, from_attributes=True) for each in found])


def _exclusion(seen: Seen, body: RaiseIn) -> Exclusion:
    if body.agency is not None:
        return Exclusion(seen.alert.id, agency_id=body.agency)
    if body.role in NAMED_ONLY and not body.lower:
        raise ConflictMustBeNamed(pointer="#/role")
    return Exclusion(seen.alert.id, role=body.role, territory=district_of(seen.alert.territory))
