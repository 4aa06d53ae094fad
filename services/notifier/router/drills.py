"""How endpoints stood when they were last tested."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from common.http import After, Limit, Page, Reading, write_cursor
from common.identity import Principal, require
from common.schemas import Out
from notifier.domain.drill import Standing
from notifier.router.counter import AtCounter, moment_and_id
from notifier.service import drills

router = APIRouter(prefix="/v1/endpoints", tags=["endpoints"])

Knowing = Annotated[Principal, Depends(require("agency", "operator", "registrar"))]


class EndpointTestOut(Out):
    """An endpoint, and what its last test said."""

    endpoint: UUID
    agency: UUID
    kind: str
    rung: int
    state: Literal["failing", "untested", "awaited", "proven", "new", "paused", "off"] = Field(
        description="failing: talk to the agency · untested: its test did not take place · awaited: under"
        " way, or failed once · new: not tested yet · off: never tested by itself"
    )
    since: datetime = Field(description="since when it is watched")
    tested_at: datetime | None = Field(description="when the last test by time began")
    test: UUID | None = Field(description="the delivery that it was")
    cause: str | None = Field(
        description="why the last test failed: an attempt's outcome, `no_receipt` or `bounced`"
    )
    failures: int = Field(description="tests that failed since the last proof")
    failing_since: datetime | None
    proven_at: datetime | None = Field(description="when it last took a notice and answered it as it must")
    proof: UUID | None = Field(description="the delivery that it was: a test, or a notice of an alert")


@router.get("/tests", summary="Whether endpoints work: what their last test said")
async def list_endpoint_tests(
    session: Reading,
    caller: Knowing,
    counter: AtCounter,
    state: Annotated[Standing | None, Query()] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[EndpointTestOut]:
    """The operator and the registrar see all, an agency its own; the longest connected come first."""
    rows = await drills.list_standings(
        session,
        counter.desk,
        caller,
        wanted=state,
        after=moment_and_id(after),
        limit=limit + 1,
        now=counter.now(),
    )
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    return Page(
        items=[EndpointTestOut.model_validate(row) for row in shown],
        next=write_cursor(last["since"].isoformat(), str(last["endpoint"])) if last else None,
    )
