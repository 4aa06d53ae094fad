"""Alerts: the live list, one alert, its timeline."""

import hashlib
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Response

from common.http import After, Limit, Page, Reading, Tx, write_cursor
from common.identity import Caller, Principal, require
from common.schemas import In
from notifier.router.changes import shown
from notifier.router.counter import AtCounter, moment_and_id
from notifier.schemas import AlertOut, TimelineFactOut, TimelineOut
from notifier.service import reading
from notifier.service.holds import release_alert as release
from notifier.service.timeline import timeline

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])


class NothingIn(In):
    """An empty object: there is nothing to choose."""


@router.get("", summary="Alerts, newest first, with counts of delivery states")
async def list_alerts(
    response: Response,
    session: Reading,
    caller: Caller,
    after: After = None,
    limit: Limit = 50,
    if_none_match: Annotated[str | None, Header(max_length=200)] = None,
) -> Page[AlertOut]:
    """Cheap to poll: with ``If-None-Match`` an unchanged page is a 304 without a body."""
    seen = await reading.list_alerts(session, caller, after=moment_and_id(after), limit=limit + 1)
    shown = seen[:limit]
    last = shown[-1] if len(seen) > limit else None
    page: Page[AlertOut] = Page(
        items=[AlertOut.model_validate(row) for row in await reading.summaries(session, shown)],
        next=write_cursor(last.alert.received_at.isoformat(), str(last.shown_id)) if last else None,
    )
    tag = f'"{hashlib.sha256(page.model_dump_json().encode()).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-store"}
    if if_none_match is not None and tag in (one.strip() for one in if_none_match.split(",")):
        return Response(status_code=304, headers=headers)  # type: ignore[return-value]  # FastAPI sends it as it is
    response.headers.update(headers)
    return page


@router.get("/{alert_id}", summary="One alert")
async def get_alert(alert_id: UUID, session: Reading, caller: Caller, counter: AtCounter) -> AlertOut:
    """Ids, times, counts of states; what became of it, and who has confirmed having heard that."""
    seen = await reading.see_alert(session, caller, alert_id)
    return await shown(session, counter, caller, seen)


@router.post("/{alert_id}/release", summary="Let a public report go to the bodies that the law names")
async def release_alert(
    alert_id: UUID,
    session: Tx,
    caller: Annotated[Principal, Depends(require("agency"))],
    counter: AtCounter,
    _body: NothingIn | None = None,
) -> AlertOut:
    """For the hub alone. Once more, or after it has left by itself, changes nothing."""
    seen = await release(session, counter.desk, caller, alert_id, now=counter.now())
    return await shown(session, counter, caller, seen)


@router.get("/{alert_id}/timeline", summary="Who was told when, and what came of it")
async def get_timeline(alert_id: UUID, session: Reading, caller: Caller, counter: AtCounter) -> TimelineOut:
    """Ordered facts; the trace id is for the operator."""
    seen = await reading.see_alert(session, caller, alert_id)
    facts = await timeline(session, counter.desk, seen)
    return TimelineOut(
        alert=seen.shown_id,
        trace_id=seen.trace_id,
        items=[TimelineFactOut.model_validate(fact) for fact in facts],
    )
