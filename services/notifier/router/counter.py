"""What the HTTP doors were handed by ``app``."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from common.contracts import Event
from common.db import Database
from common.http import CursorNotKnown, read_cursor
from common.telemetry import Telemetry
from common.timing import Now
from notifier.domain.channel import Channel
from notifier.service.desk import Desk


@dataclass(frozen=True)
class Counter:
    """Parts of the doors; ``registry`` answers every fact that the registry says now."""

    db: Database
    desk: Desk
    channel: Channel
    telemetry: Telemetry
    now: Now
    registry: Callable[[], Awaitable[list[Event]]]


async def _counter(request: Request) -> Counter:
    counter: Counter = request.app.state.counter
    return counter


AtCounter = Annotated[Counter, Depends(_counter)]


def moment_and_id(after: str | None) -> tuple[datetime, UUID] | None:
    """The sort key of a cursor over time and id.

    Raises:
        CursorNotKnown: not one of ours.
    """
    key = read_cursor(after, 2)
    if key is None:
        return None
    try:
        moment, last = datetime.fromisoformat(key[0]), UUID(key[1])
    except ValueError as error:
        raise CursorNotKnown from error
    # The ends of the calendar have no UTC of their own: turning them would overflow.
    if moment.tzinfo is None or not 1990 <= moment.year <= 2200:
        raise CursorNotKnown
    return moment.astimezone(UTC), last
