"""An operator's pages: the live list of alerts, and one alert's fan-out with its trace."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from gateway.console.live import follow
from gateway.console.parts import Console, InConsole, Operator, PageRoute, Visitor
from gateway.console.rendering import page, render
from gateway.domain.fanout import axis_for, count_states, instants_of, lanes_of, tally
from gateway.domain.waterfall import lay_out

router = APIRouter(prefix="/console/alerts", route_class=PageRoute, include_in_schema=False)

LIST_SECONDS = 1.5
ALERT_SECONDS = 1.0

Cursor = Annotated[str | None, Query(max_length=400)]


async def _list(console: Console, visitor: Visitor, after: str | None, *, live: bool) -> dict[str, Any]:
    rows, following = await console.alerts.list_alerts(visitor.known(), cursor=after)
    return {
        "rows": rows,
        "tally": tally(rows),
        "following": following,
        "after": after,
        "now": console.now(),
        "live": live,
    }


@router.get("")
async def list_alerts(visitor: Operator, console: InConsole, after: Cursor = None) -> Response:
    """Newest first."""
    shown = await _list(console, visitor, after, live=False)
    return page("alerts/list.html", visitor.language, visitor=visitor, **shown)


@router.get("/live", response_class=EventSourceResponse)
async def follow_alerts(
    request: Request, visitor: Operator, console: InConsole
) -> AsyncIterator[ServerSentEvent]:
    """The first page of the list, whenever it changes."""

    async def show() -> str:
        shown = await _list(console, visitor, None, live=True)
        return render("alerts/_list.html", visitor.language, **shown)

    async for event in follow(request, console, show, every=LIST_SECONDS):
        yield event


async def _alert(console: Console, visitor: Visitor, alert_id: UUID, *, live: bool) -> dict[str, Any]:
    bearer, now = visitor.known(), console.now()
    alert = await console.alerts.get_alert(bearer, alert_id)
    deliveries = await console.alerts.list_deliveries(bearer, alert_id)
    instants = [at for delivery in deliveries for at in instants_of(delivery)]
    axis = axis_for(alert.received_at, instants, now)
    spans = await console.traces.list_spans(alert.trace_id) if console.traces and alert.trace_id else ()
    return {
        "alert": alert,
        "axis": axis,
        "lanes": lanes_of(deliveries, axis, now),
        "states": count_states(deliveries),
        "duties": await console.alerts.list_duties(bearer, alert_id),
        "trace": lay_out(spans),
        "now": now,
        "live": live,
    }


@router.get("/{alert_id}")
async def show_alert(alert_id: UUID, visitor: Operator, console: InConsole) -> Response:
    """A lane per agency, and the trace as a waterfall."""
    shown = await _alert(console, visitor, alert_id, live=False)
    return page("alerts/detail.html", visitor.language, visitor=visitor, **shown)


@router.get("/{alert_id}/live", response_class=EventSourceResponse)
async def follow_alert(
    alert_id: UUID, request: Request, visitor: Operator, console: InConsole
) -> AsyncIterator[ServerSentEvent]:
    """The same, whenever it changes."""

    async def show() -> str:
        shown = await _alert(console, visitor, alert_id, live=True)
        return render("alerts/_detail.html", visitor.language, **shown)

    async for event in follow(request, console, show, every=ALERT_SECONDS):
        yield event
