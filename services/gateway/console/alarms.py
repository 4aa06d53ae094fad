"""An operator's alarms: what needs a person now, with the ladder of each."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from gateway.console.live import follow
from gateway.console.parts import Console, InConsole, Operator, PageRoute, Visitor
from gateway.console.rendering import page, render
from gateway.domain.alarms import next_of, nodes_of, tally

router = APIRouter(prefix="/console/alarms", route_class=PageRoute, include_in_schema=False)

LIST_SECONDS = 2.0

Cursor = Annotated[str | None, Query(max_length=400)]
Shown = Annotated[Literal["open", "closed"], Query()]


async def _list(
    console: Console, visitor: Visitor, state: str, after: str | None, *, live: bool
) -> dict[str, Any]:
    alarms, following = await console.alerts.list_alarms(visitor.known(), state=state, cursor=after)
    return {
        "alarms": [(alarm, next_of(alarm), nodes_of(alarm)) for alarm in alarms],
        "tally": tally(alarms),
        "following": following,
        "after": after,
        "state": state,
        "now": console.now(),
        "live": live,
    }


@router.get("")
async def list_alarms(
    visitor: Operator, console: InConsole, state: Shown = "open", after: Cursor = None
) -> Response:
    """Open ones, the oldest deadline first; past ones, the newest first."""
    shown = await _list(console, visitor, state, after, live=False)
    return page("alarms/list.html", visitor.language, visitor=visitor, **shown)


@router.get("/live", response_class=EventSourceResponse)
async def follow_alarms(
    request: Request, visitor: Operator, console: InConsole
) -> AsyncIterator[ServerSentEvent]:
    """The first page of the open ones, whenever it changes."""

    async def show() -> str:
        shown = await _list(console, visitor, "open", None, live=True)
        return render("alarms/_list.html", visitor.language, **shown)

    async for event in follow(request, console, show, every=LIST_SECONDS):
        yield event
