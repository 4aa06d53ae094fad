"""Alarms: what needs somebody now, and what needed somebody once; and why a duty was breached."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from common.http import After, Limit, Page, Reading, Tx, write_cursor
from common.identity import Caller, Principal, require
from notifier.domain.schedule import Urgency
from notifier.router.counter import AtCounter, moment_and_id
from notifier.schemas import EscalationOut, ExplainedOut, ExplanationIn
from notifier.service import alarms, reasons

router = APIRouter(prefix="/v1", tags=["escalations"])

Agency = Annotated[Principal, Depends(require("agency"))]


@router.get(
    "/escalations", summary="Alarms with their ladders: open ones by deadline, past ones newest first"
)
async def list_escalations(
    session: Reading,
    caller: Caller,
    counter: AtCounter,
    state: Annotated[Literal["open", "closed"], Query()] = "open",
    agency: Annotated[UUID | None, Query(description="who is silent, or owns the breach")] = None,
    urgency: Annotated[Urgency | None, Query()] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[EscalationOut]:
    """The operator sees all; contact centre 111 those of alerts that it knows; an agency its own.

    An open alarm has a first way without an answer, or a breached act that is not done yet.
    """
    rows = await alarms.list_alarms(
        session,
        counter.desk,
        caller,
        is_open=state == "open",
        agency_id=agency,
        urgency=urgency,
        after=moment_and_id(after),
        limit=limit + 1,
        now=counter.now(),
    )
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    return Page(
        items=[EscalationOut.model_validate(row) for row in shown],
        next=write_cursor(last["key"].isoformat(), str(last["id"])) if last else None,
    )


@router.post("/obligations/{obligation_id}/breach", summary="Say why a duty was breached")
async def explain_breach(
    obligation_id: UUID, body: ExplanationIn, session: Tx, caller: Agency, counter: AtCounter
) -> ExplainedOut:
    """For the body that owns the breach, and the body above it that was told of it. The breach stays.

    The same words again change nothing; other words stand beside the earlier ones.
    """
    told = await reasons.state_reason(
        session, counter.desk, caller, obligation_id, body.reason, now=counter.now()
    )
    return ExplainedOut.model_validate(told)
