"""The pull inbox: a long poll."""

import asyncio
import base64
import contextlib
import hashlib
import json
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from common.http import After, Limit, Page, write_cursor
from common.identity import Principal, require
from notifier.errors import AgencyUnknown
from notifier.repository.inbox import InboxItem
from notifier.router.counter import AtCounter, moment_and_id
from notifier.schemas import InboxItemOut
from notifier.service import inbox

router = APIRouter(prefix="/v1/inbox", tags=["inbox"])

LOOK_FIRST_SECONDS = 0.1
LOOK_EVERY_SECONDS = 1.0
"""Between looks: soon at first, then rarely, so that many waiting agencies cost little."""


@router.get("", summary="Notices for this agency that nobody has answered")
async def read_inbox(
    request: Request,
    caller: Annotated[Principal, Depends(require("agency"))],
    counter: AtCounter,
    after: After = None,
    limit: Limit = 50,
    wait: Annotated[int, Query(ge=0, le=30, description="seconds to wait for something new")] = 0,
) -> Page[InboxItemOut]:
    """Reading hands over: a notice that was not pushed through yet is transmitted by it.

    ``next`` is always given: the place to look from next time. Nothing is skipped: what was never
    handed over comes whatever the cursor says.
    """
    if caller.agency is None:
        raise AgencyUnknown
    key = moment_and_id(after)
    until = time.monotonic() + wait
    pause = LOOK_FIRST_SECONDS
    while True:
        async with counter.db.reading() as session:
            is_there = await inbox.anything_waits(session, caller, after=key)
        if is_there:
            async with counter.db.transaction() as session:
                items = await inbox.hand_over(
                    session, counter.desk, caller, after=key, limit=limit, now=counter.now()
                )
            if items:
                places = [(item.planned_at, item.delivery_id) for item in items]
                # One that was stored late lies before the cursor: the cursor never goes back for it.
                planned_at, last = max([*places, *([key] if key else [])])
                cursor = write_cursor(planned_at.isoformat(), str(last))
                return Page(items=[_shown(item) for item in items], next=cursor)
        if time.monotonic() >= until or await request.is_disconnected():
            return Page(items=[], next=after)
        if await _is_stopping(request, min(pause, max(0.0, until - time.monotonic()))):
            return Page(items=[], next=after)
        pause = min(LOOK_EVERY_SECONDS, pause * 1.5)


async def _is_stopping(request: Request, seconds: float) -> bool:
    """Wait; true as soon as this process is asked to stop."""
    stopping: asyncio.Event | None = getattr(request.app.state, "stopping", None)
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
