"""Server-sent events: a part of a page, sent again whenever it has changed."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi import Request
from fastapi.sse import ServerSentEvent

from common.errors import Refusal
from gateway.console.parts import Console, bearer_of

LONGEST_SECONDS = 300
"""A stream ends after so long and the browser comes back: nothing hangs on for a whole night."""

RETRY_MILLISECONDS = 2000


async def follow(
    request: Request, console: Console, show: Callable[[], Awaitable[str]], *, every: float
) -> AsyncIterator[ServerSentEvent]:
    """``page`` with the part's HTML when it changed, ``away`` while there is none, ``end`` when signed out.

    Args:
        show: makes the part; asked ``every`` so many seconds.
    """
    yield ServerSentEvent(comment="open", retry=RETRY_MILLISECONDS)
    sent = ""
    for _ in range(int(LONGEST_SECONDS / every)):
        if await bearer_of(request, console) is None:
            yield ServerSentEvent(event="end", raw_data="signed-out")
            return
        try:
            html = await show()
        except Refusal:
            sent = ""
            yield ServerSentEvent(event="away", raw_data="away")
        else:
            digest = hashlib.sha256(html.encode()).hexdigest()
            if digest != sent:
                sent = digest
                yield ServerSentEvent(event="page", raw_data=html, id=digest[:16])
        if await _stopping(request, every):
            return


async def _stopping(request: Request, seconds: float) -> bool:
    """Waits; true as soon as this process is asked to stop."""
    stop: asyncio.Event | None = getattr(request.app.state, "stopping", None)
    if stop is None:
        await asyncio.sleep(seconds)
        return False
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
