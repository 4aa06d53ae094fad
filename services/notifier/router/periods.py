"""Duties that return: an agency's own periods; the operator's list of all, by ids."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from common.http import After, Limit, Page, Reading, write_cursor
from common.identity import Caller
from notifier.router.counter import AtCounter, moment_and_id
from notifier.schemas import PeriodOut
from notifier.service import periods

router = APIRouter(prefix="/v1/periods", tags=["periods"])


@router.get("", summary="Periods of duties that return, the latest limit first")
async def list_periods(
    session: Reading,
    caller: Caller,
    counter: AtCounter,
    state: Annotated[Literal["open", "met", "passed"] | None, Query()] = None,
    agency: Annotated[UUID | None, Query(description="for the operator; an agency sees its own only")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[PeriodOut]:
    """An agency sees what it owes itself; the operator sees ids, limits and states."""
    rows = await periods.list_periods(
        session,
        counter.desk,
        caller,
        agency_id=agency,
        state=state,
        after=moment_and_id(after),
        limit=limit + 1,
    )
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    return Page(
        items=[PeriodOut.model_validate(row) for row in shown],
        next=write_cursor(last["due_at"].isoformat(), str(last["id"])) if last else None,
    )


@router.get("/{period_id}", summary="One period")
async def get_period(period_id: UUID, session: Reading, caller: Caller, counter: AtCounter) -> PeriodOut:
    """For the agency that owes it, and for the operator."""
    return PeriodOut.model_validate(await periods.see_period(session, counter.desk, caller, period_id))
