"""The pull inbox: a long poll, or a stream of events."""

import asyncio
import base64
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse

from common.http import After, Limit, Page, write_cursor
from common.identity import Principal, require
from notifier.errors import AgencyUnknown
from notifier.repository.inbox import InboxItem
from notifier.router.counter import AtCounter, Counter, moment_and_id
from notifier.schemas import InboxItemOut
from notifier.service import inbox

router = APIRouter(prefix="/v1/inbox", tags=["inbox"])

EVENTS = "text/event-stream"
STREAM_SECONDS = 50.0
"""Shorter than any proxy's patience; a client comes back with ``Last-Event-ID``."""
ALIVE_SECONDS = 10.0
LOOK_FIRST_SECONDS = 0.1
LOOK_EVERY_SECONDS = 1.0
"""Between looks: soon at first, then rarely, so that many waiting agencies cost little."""


@router.get(
    "",
    summary="Notices for this agency that nobody has answered",
    response_model=Page[InboxItemOut],
    responses={
        200: {
            "content": {
                EVENTS: {
                    "schema": {
                        "type": "string",
                        "description": "one event a notice: `data` an item, `id` the place to go on from",
                    }
                }
            }
        }
    },
)
async def read_inbox(
    request: Request,
    caller: Annotated[Principal, Depends(require("agency"))],
    counter: AtCounter,
    after: After = None,
    limit: Limit = 50,
    wait: Annotated[int, Query(ge=0, le=30, description="seconds to wait for something new")] = 0,
    lease: Annotated[
        int | None,
        Query(ge=5, le=3600, description="seconds for which no other reader with a lease gets the same"),
    ] = None,
    last_event_id: Annotated[
        str | None, Header(max_length=400, description="`id` of the last event: as `after`")
    ] = None,
) -> Page[InboxItemOut] | StreamingResponse:
    """Reading hands over: a notice that was not pushed through yet is transmitted by it.

    ``next`` is always given: the place to look from next time. Nothing is skipped: what was never
    handed over comes whatever the cursor says, and the same cursor asked again gives the same again,
    if its answer was lost. With ``lease`` several readers of one agency share the
    work: no cursor counts, and what is not answered by a receipt comes again when the lease ends.
    With ``Accept: text/event-stream`` notices come as events until the stream ends after less than a
    minute; then ask again with ``Last-Event-ID``.
    """
    if caller.agency is None:
        raise AgencyUnknown
    is_stream = EVENTS in request.headers.get("accept", "")
    begin = after if after is not None or not is_stream else last_event_id
    span = None if lease is None else timedelta(seconds=lease)
    reading = _Reading(counter, caller, begin, _place(begin), limit, span)
    if is_stream:
        return StreamingResponse(_events(request, reading, wait or STREAM_SECONDS), media_type=EVENTS)
    items = await _wait(request, reading, wait)
    return Page(items=[item for _, item in items], next=reading.cursor)


def _place(after: str | None) -> datetime | None:
    """The place that a cursor stands for.

    One from before there were places is no less than its notices' times: they have none, and all come again.
    """
    key = moment_and_id(after)
    return None if key is None else key[0]


@dataclass
class _Reading:
    """One client on its way through its inbox."""

    counter: Counter
    caller: Principal
    cursor: str | None
    place: datetime | None
    limit: int
    lease: timedelta | None

    async def look(self) -> list[tuple[str, InboxItemOut]]:
        """Hand over what waits, each with the place to go on from; goes on behind it."""
        async with self.counter.db.reading() as session:
            if not await inbox.anything_waits(
                session, self.caller, after=self.place, now=self.counter.now(), lease=self.lease
            ):
                return []
        async with self.counter.db.transaction() as session:
            items = await inbox.hand_over(
                session,
                self.counter.desk,
                self.caller,
                after=self.place,
                limit=self.limit,
                now=self.counter.now(),
                lease=self.lease,
            )
        shown = []
        for place, item in items:
            # With a lease old ones come among the new: the cursor never goes back for them.
            self.place = place if self.place is None else max(place, self.place)
            self.cursor = write_cursor(self.place.isoformat(), str(item.delivery_id))
            shown.append((self.cursor, _shown(item)))
        return shown


async def _wait(request: Request, reading: _Reading, seconds: float) -> list[tuple[str, InboxItemOut]]:
    """What there is, or comes in time."""
    until = time.monotonic() + seconds
    pause = LOOK_FIRST_SECONDS
    while True:
        items = await reading.look()
        if items or time.monotonic() >= until or await request.is_disconnected():
            return items
        if await _is_stopping(request, min(pause, max(0.0, until - time.monotonic()))):
            return []
        pause = min(LOOK_EVERY_SECONDS, pause * 1.5)


async def _events(request: Request, reading: _Reading, seconds: float) -> AsyncIterator[str]:
    """Server-sent events; a comment now and then shows that the line is alive."""
    until = time.monotonic() + seconds
    yield ": open\n\n"
    while (left := until - time.monotonic()) > 0:
        items = await _wait(request, reading, min(left, ALIVE_SECONDS))
        for place, item in items:
            yield f"id: {place}\nevent: notice\ndata: {item.model_dump_json()}\n\n"
        if not items:
            if await request.is_disconnected() or await _is_stopping(request, 0):
                return
            yield ": alive\n\n"


async def _is_stopping(request: Request, seconds: float) -> bool:
    """Wait; true as soon as this process is asked to stop."""
    stopping: asyncio.Event | None = getattr(request.app.state, "stopping", None)
    if stopping is not None and stopping.is_set():
        return True
    if stopping is None:
        await asyncio.sleep(seconds)
        return False
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()
    return stopping.is_set()


def _shown(item: InboxItem) -> InboxItemOut:
    return InboxItemOut(
        delivery=item.delivery_id,
        state="transmitted",
        notice_digest=hashlib.sha256(item.body).hexdigest(),
        notice=json.loads(item.body),
        notice_bytes=base64.b64encode(item.body).decode(),
    )
